// Command truth is the other side of the end-to-end tests: an HTTP server that
// keeps its own counters and latencies, and a load generator that knows exactly
// what it sent. What vitals reports is compared with what truth says.
//
//	truth serve -addr 127.0.0.1:0 -control 127.0.0.1:0
//	truth load -addr HOST:PORT -old 8 -new 8 -requests 100000
//	truth load -addr HOST:PORT -delays -conns 1 -requests 500
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: truth serve|load [flags]")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2:])
	case "load":
		err = load(os.Args[2:])
	default:
		err = fmt.Errorf("unknown mode %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}
