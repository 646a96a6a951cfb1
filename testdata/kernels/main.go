// Kernels is the first program of a machine that was booted to see whether the
// programs work on its kernel: a server and a client in two processes, and a
// look at them. What vitals counted must be what the client did.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const requests = 200

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) > 1 && os.Args[1] == "serve":
		serve()
	case len(os.Args) > 2 && os.Args[1] == "fetch":
		fetch(os.Args[2])
	default:
		look()
	}
}

func serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	})))
}

// fetch waits for a line, then asks.
func fetch(addr string) {
	fmt.Scanln()
	for i := range requests {
		path := "/users/1"
		if i%4 == 0 {
			path = "/busy"
		}
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	time.Sleep(time.Minute)
}

type row struct {
	PID    int    `json:"pid"`
	Role   string `json:"role"`
	Route  string `json:"route"`
	Status int    `json:"status"`
	Count  int    `json:"count"`
}

func look() {
	server := exec.Command("/proc/self/exe", "serve")
	var addr string
	out, _ := server.StdoutPipe()
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	fmt.Fscanln(out, &addr)
	client := exec.Command("/proc/self/exe", "fetch", addr)
	in, _ := client.StdinPipe()
	if err := client.Start(); err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(12*time.Second, func() { fmt.Fprintln(in) }) // attached by then, however slow the machine
	text, err := exec.Command("/root/vitals", "snapshot", "--for", "35s", "-o", "json").Output()
	if err != nil {
		log.Fatalf("vitals: %v\n%s", err, text)
	}
	server.Process.Kill()
	client.Process.Kill()
	var got struct {
		Requests []row `json:"requests"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		log.Fatal(err)
	}
	wrong := judge(got.Requests, map[string]int{"server": server.Process.Pid, "client": client.Process.Pid})
	if len(wrong) > 0 {
		log.Fatalf("wrong: %s\n%+v", strings.Join(wrong, "; "), got.Requests)
	}
	fmt.Println("counts agree")
}

// judge compares with what fetch did.
func judge(rows []row, pids map[string]int) (wrong []string) {
	for role, pid := range pids {
		for route, want := range map[string]row{"/users/{id}": {Status: 200, Count: requests * 3 / 4}, "/busy": {Status: 503, Count: requests / 4}} {
			n := 0
			for _, r := range rows {
				if r.PID == pid && r.Role == role && r.Route == route && r.Status == want.Status {
					n += r.Count
				}
			}
			if n != want.Count {
				wrong = append(wrong, fmt.Sprintf("%s %s: %d, want %d", role, route, n, want.Count))
			}
		}
	}
	return wrong
}
