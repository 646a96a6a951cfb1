// Life plays the processes that the tests of lifecycles watch. Every mode
// prints the pids it is about, one line each.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	runtime.LockOSThread() // the first thread stays the first
	modes := map[string]func(){
		"thread-exec": threadExec, "thread-fork": threadFork, "signal-fork": signalFork, "reuse": reuse, "storm": storm,
	}
	mode := modes[os.Args[1]]
	if mode == nil {
		os.Exit(99)
	}
	mode()
}

// fork makes a child that sleeps and exits with code, by nothing but system
// calls: it has no runtime of its own. tid is the pid it shall have, 0 for any.
//
//go:norace
//go:nosplit
func fork(tid int32, sleep *syscall.Timespec, code uintptr) (int, syscall.Errno) {
	args := struct {
		flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
	}{exitSignal: uint64(syscall.SIGCHLD)}
	if tid != 0 {
		args.setTID, args.setTIDSize = uint64(uintptr(unsafe.Pointer(&tid))), 1
	}
	pid, _, err := syscall.RawSyscall(435, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0) // clone3
	if err == 0 && pid == 0 {
		if sleep != nil {
			syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(sleep)), 0, 0)
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
	}
	return int(pid), err
}

func must(pid int, err syscall.Errno) int {
	if err != 0 {
		fmt.Fprintln(os.Stderr, "fork:", err)
		os.Exit(98)
	}
	return pid
}

func reap(pid int) { _, _ = syscall.Wait4(pid, nil, 0, nil) }

// onThread runs f on a thread that is not the process' first.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() {
			os.Exit(97)
		}
		f()
		close(done)
	}()
	<-done
}

func threadExec() {
	onThread(func() { _ = syscall.Exec("/bin/sh", []string{"sh", "-c", "exit 7"}, os.Environ()) })
}

func threadFork() {
	onThread(func() {
		pid := must(fork(0, nil, 5))
		fmt.Println(pid)
		reap(pid)
	})
	os.Exit(6)
}

func signalFork() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-signals
	pid := must(fork(0, nil, 5))
	fmt.Println(pid)
	reap(pid)
	os.Exit(6)
}

// reuse gives the pid of a process that ended to another one, a moment later.
func reuse() {
	first := must(fork(0, nil, 1))
	reap(first)
	time.Sleep(50 * time.Millisecond) // births are counted in hundredths of a second
	second, err := fork(int32(first), &syscall.Timespec{Nsec: 200e6}, 2)
	must(second, err)
	fmt.Println(first)
	fmt.Println(second)
	reap(second)
}

// storm forks as fast as the machine can for a while. Every hundredth child
// lives for a tenth of a second; the pids of those are printed, then the number
// of all.
func storm() {
	length, err := time.ParseDuration(os.Args[2])
	if err != nil {
		os.Exit(99)
	}
	all := 0
	var long []int
	for end := time.Now().Add(length); time.Now().Before(end); all++ {
		if all%100 == 0 {
			long = append(long, must(fork(0, &syscall.Timespec{Nsec: 50e6}, 3)))
		} else {
			reap(must(fork(0, nil, 0)))
		}
		for len(long) > 50 { // those have ended long ago
			fmt.Println(long[0])
			reap(long[0])
			long = long[1:]
		}
	}
	for _, pid := range long {
		fmt.Println(pid)
		reap(pid)
	}
	fmt.Println("all " + strconv.Itoa(all))
}
