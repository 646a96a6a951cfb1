package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// killed ends vitals without a chance to clean up, and demands that the kernel
// does: no program, map and link is left, and no probe in anybody's code.
func killed(a *actors) error {
	before := held()
	v, _, err := watching()
	if err != nil {
		return err
	}
	a.calm()
	ours := held()
	for o := range before {
		delete(ours, o)
	}
	fmt.Printf("it holds %d objects in the kernel\n", len(ours))
	pids := a.servers()
	for _, pid := range pids {
		n, err := patched(pid)
		if err != nil {
			return err
		}
		fmt.Printf("process %d has %d probes\n", pid, n)
		if readable() != (n > 0) {
			return fmt.Errorf("process %d has %d probes", pid, n)
		}
	}
	if len(ours) == 0 {
		return fmt.Errorf("it holds nothing in the kernel")
	}
	v.Process.Kill()
	v.Wait()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left := leftOf(ours)
		for _, pid := range pids {
			n, err := patched(pid)
			if err != nil {
				return err
			}
			if n > 0 {
				left = append(left, fmt.Sprintf("%d probes in process %d", n, pid))
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
		}
	}
}

func (a *actors) servers() []int {
	pids := []int{a.server.Process.Pid}
	if a.nginx != nil {
		pids = append(pids, a.nginx.Process.Pid)
	}
	return pids
}

// calm waits until nothing has been put into the kernel for a while, and the
// servers are probed where they can be: a slow machine takes its time.
func (a *actors) calm() {
	had, since := -1, time.Now()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		n := len(held())
		for _, pid := range a.servers() {
			if probes, err := patched(pid); readable() && (err != nil || probes == 0) {
				n = -1
			}
		}
		if n != had || n < 0 {
			had, since = n, time.Now()
		}
		if time.Since(since) > 10*time.Second {
			return
		}
	}
}

func leftOf(ours map[string]bool) (left []string) {
	now := held()
	for o := range ours {
		if now[o] {
			left = append(left, o)
		}
	}
	return left
}

// held lists the programs, maps and links of the kernel.
func held() map[string]bool {
	all := map[string]bool{}
	for kind, command := range map[string]uintptr{"program": unix.BPF_PROG_GET_NEXT_ID, "map": unix.BPF_MAP_GET_NEXT_ID, "link": unix.BPF_LINK_GET_NEXT_ID} {
		for attr := (struct{ start, next, flags uint32 }{}); ; attr.start = attr.next {
			if _, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
				break
			}
			all[fmt.Sprint(kind, " ", attr.next)] = true
		}
	}
	return all
}

// patched counts the bytes of a process' code that are not those of its files.
func patched(pid int) (n int, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer maps.Close()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer memory.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to, offset int64
		var perms, device, inode, path string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %s %s", &from, &to, &perms, &offset, &device, &inode, &path); err != nil || !strings.Contains(perms, "x") || path[0] != '/' {
			continue
		}
		m, err := differ(memory, from, to, path, offset)
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func differ(memory *os.File, from, to int64, path string, offset int64) (n int, err error) {
	here := make([]byte, to-from)
	if _, err := memory.ReadAt(here, from); err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	there := make([]byte, to-from)
	got, err := file.ReadAt(there, offset)
	if got == 0 {
		return 0, err
	}
	for i := range there[:got] { // the rest of the last page is nobody's
		if here[i] != there[i] {
			n++
		}
	}
	return n, nil
}
