package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// seen is what we read of a snapshot.
type seen struct {
	Requests  []request
	Processes []process
	Units     []unit
	Self      struct{ Lost map[string]uint64 }
}

type request struct {
	PID                                int
	Role, Protocol, Peer, Route, Error string
	Status, Count                      int
	TLS                                bool
}

type process struct {
	PID      int
	Coverage struct {
		Encrypted int
		Why       string
	}
}

type unit struct {
	ID, Phase, Health, Message string
	Attempts, Failures         int
	Parts                      map[string]string
}

func (s *seen) read(text []byte) (wrong []string) {
	if err := json.Unmarshal(text, s); err != nil {
		wrong = append(wrong, fmt.Sprintf("no snapshot: %v\n%s", err, text))
	}
	return wrong
}

// watching starts vitals and returns when it watches. said waits for all of its
// output; what it complains of is printed.
func watching(args ...string) (v *exec.Cmd, said func() []byte, err error) {
	v = exec.Command("./vitals", append([]string{"snapshot", "--for", "10m"}, args...)...)
	out, err := v.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	complaints, err := v.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := v.Start(); err != nil {
		return nil, nil, err
	}
	begun := make(chan bool, 1)
	go func() {
		defer close(begun)
		for lines := bufio.NewScanner(complaints); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "watching") {
				begun <- true
				continue
			}
			fmt.Println("vitals said:", lines.Text())
		}
	}()
	if !<-begun {
		return nil, nil, fmt.Errorf("vitals ends before it watches: %w", v.Wait())
	}
	return v, func() []byte { text, _ := io.ReadAll(out); return text }, nil
}
