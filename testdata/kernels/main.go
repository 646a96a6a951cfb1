// Kernels is the first program of a machine that was booted to see whether the
// programs work on its kernel: servers and clients in several processes, and a
// look at them. What vitals counted must be what the clients did, and what it
// leaves behind when it is killed is nothing. It stands beside vitals.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) > 1 && os.Args[1] == "serve":
		serve()
	case len(os.Args) > 3 && os.Args[1] == "fetch":
		fetch(os.Args[2], os.Args[3])
	default:
		look()
	}
}

// actors are the processes that are looked at.
type actors struct {
	server, client, nginx *exec.Cmd // nginx may be nil
	begin                 func()    // lets the client ask
	done                  chan error
	port                  string // of nginx
}

func look() {
	a := cast()
	defer a.end()
	got, wrong := snapshot(a)
	wrong = append(wrong, judge(got, a)...)
	if len(wrong) > 0 {
		fmt.Printf("wrong:\n  %s\n", strings.Join(wrong, "\n  "))
		for _, r := range got.Requests {
			fmt.Printf("%+v\n", r)
		}
		for _, u := range got.Units {
			fmt.Printf("%+v\n", u)
		}
		fmt.Printf("lost %v\n", got.Self.Lost)
		a.end()
		log.Fatal("counts differ")
	}
	fmt.Println("counts agree")
	if err := killed(a); err != nil {
		a.end()
		log.Fatal(err)
	}
	fmt.Println("nothing is left of a killed one")
}

// cast starts the servers, and a client that waits.
func cast() *actors {
	a := &actors{server: exec.Command("/proc/self/exe", "serve"), done: make(chan error, 1)}
	var plain, secret string
	out, _ := a.server.StdoutPipe()
	if err := a.server.Start(); err != nil {
		log.Fatal(err)
	}
	fmt.Fscanln(out, &plain, &secret)
	a.startNginx()
	a.client = exec.Command("/proc/self/exe", "fetch", plain, secret)
	a.client.Stderr = os.Stderr
	in, _ := a.client.StdinPipe()
	said, _ := a.client.StdoutPipe()
	if err := a.client.Start(); err != nil {
		log.Fatal(err)
	}
	a.begin = func() {
		fmt.Fprintln(in)
		go func() {
			var word string
			if fmt.Fscanln(said, &word); word != "done" {
				a.done <- fmt.Errorf("the client said %q", word)
				return
			}
			a.done <- a.curl()
		}()
	}
	return a
}

func (a *actors) end() {
	for _, c := range []*exec.Cmd{a.server, a.client, a.nginx} {
		if c != nil {
			c.Process.Kill()
		}
	}
}

// snapshot runs vitals while the clients ask.
func snapshot(a *actors) (got seen, wrong []string) {
	v, said, err := watching("-o", "json")
	if err != nil {
		return got, []string{err.Error()}
	}
	a.calm()
	began := time.Now()
	a.begin()
	select {
	case err := <-a.done:
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		fmt.Printf("asked for %v\n", time.Since(began).Round(time.Second))
	case <-time.After(3 * time.Minute):
		wrong = append(wrong, "the clients do not come to an end")
	}
	time.Sleep(3 * time.Second)
	began = time.Now()
	v.Process.Signal(os.Interrupt)
	text := said()
	if err := v.Wait(); err != nil {
		wrong = append(wrong, "vitals: "+err.Error())
	}
	fmt.Printf("it leaves in %v\n", time.Since(began).Round(time.Millisecond))
	return got, append(wrong, got.read(text)...)
}
