// A program that speaks TLS, to be looked at.
package main

import (
	"crypto/tls"
	"fmt"
	"os"
)

func main() {
	c, err := tls.Dial("tcp", os.Args[1], &tls.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	b := make([]byte, 10)
	n, err := c.Read(b)
	fmt.Println(n, err)
	c.Write(b)
}
