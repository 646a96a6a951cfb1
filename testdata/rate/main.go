// Command rate asks itself over and over, both ends in one thread, as fast as it
// goes or at a steady rate: what a machine can be asked for with little of its own.
//
//	rate REQUESTS PER_SECOND
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ask    = "GET /users/42 HTTP/1.1\r\nHost: rate.example\r\nUser-Agent: rate/1.0\r\nAccept: */*\r\n\r\n"
	answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: rate REQUESTS PER_SECOND")
	}
	n, _ := strconv.Atoi(os.Args[1])
	rate, _ := strconv.Atoi(os.Args[2])
	runtime.LockOSThread()
	client, server := pair()
	fmt.Println("ready")
	fmt.Scanln()
	began := time.Now()
	buf := make([]byte, 4096)
	for i := range n {
		say(client, ask)
		hear(server, buf)
		say(server, answer)
		hear(client, buf)
		if rate > 0 && i%64 == 0 {
			if ahead := time.Duration(float64(i)/float64(rate)*1e9) - time.Since(began); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
		}
	}
	fmt.Println(n, time.Since(began).Seconds())
	fmt.Scanln()
}

// pair is a connection of TCP, as two descriptors that block.
func pair() (client, server int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		log.Fatal(err)
	}
	return blocking(a), blocking(b)
}

func blocking(c net.Conn) int {
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		log.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd())) // Fd makes it block; f is closed when it is collected
	if err != nil {
		log.Fatal(err)
	}
	return fd
}

func say(fd int, text string) {
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		log.Fatal(err)
	}
}

func hear(fd int, buf []byte) {
	if _, err := unix.Read(fd, buf); err != nil {
		log.Fatal(err)
	}
}
