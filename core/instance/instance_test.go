package instance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"vitals/core/config"
)

// The test binary itself is the other copy.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_ANNOUNCE_IN"); dir != "" {
		_, others, err := Announce(Place{Dir: dir})
		fmt.Println(others, err)
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0) // without Close: as if killed
	}
	os.Exit(m.Run())
}

func other(t *testing.T, dir string) (pid int32, said string, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ANNOUNCE_IN="+dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ = bufio.NewReader(out).ReadString('\n')
	done := false
	end = func() {
		if !done {
			done = true
			in.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(end)
	return int32(cmd.Process.Pid), said, end
}

func TestOthersAreSeenWhileTheyLive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	a, pids, err := Announce(Place{Dir: dir})
	if err != nil || len(pids) != 0 {
		t.Fatalf("%v %v", pids, err)
	}
	pid, said, end := other(t, dir)
	if want := fmt.Sprintf("[%d] <nil>\n", os.Getpid()); said != want {
		t.Errorf("the other one sees %q, not %q", said, want)
	}
	if got := running(dir); !slices.Equal(got, []int32{pid}) {
		t.Errorf("running: %v, want %d", got, pid)
	}
	end()
	if got := running(dir); len(got) != 0 {
		t.Errorf("the dead are still listed: %v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("stale entries stay: %v", left)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	a.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFallsBackAndNeverFails(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	os.WriteFile(blocked, nil, 0o644)
	state := t.TempDir()
	os.WriteFile(filepath.Join(state, "17.lock"), nil, 0o644)
	os.WriteFile(filepath.Join(state, "nonsense.lock"), nil, 0o644)
	pid, _, _ := other(t, state)
	a, pids, err := Announce(Place{Dir: blocked}, Place{}, Place{Dir: state})
	if a == nil || err != nil || !slices.Equal(pids, []int32{pid}) {
		t.Errorf("%v %v %v", a, pids, err)
	}
	a.Close()
	a, pids, err = Announce(Place{Dir: blocked})
	if a != nil || err == nil || len(pids) != 0 || a.Close() != nil {
		t.Errorf("%v %v %v", a, pids, err)
	}
}

// A directory of somebody else's that is a link to one of root's: nothing in
// there is removed, or made.
func TestTheDirectoryOfAUserIsTheirs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root, err := os.MkdirTemp("", "root")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	os.Chmod(root, 0o755)
	precious := filepath.Join(root, "17.lock")
	os.WriteFile(precious, nil, 0o644)
	link := filepath.Join(t.TempDir(), "state")
	os.Symlink(root, link)
	for d := filepath.Dir(link); d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	nobody := config.User{Name: "nobody", UID: 65534, GID: 65534, Other: true}.Do
	a, others, err := Announce(Place{link, nobody})
	if a != nil || err == nil || len(others) != 0 {
		t.Errorf("%v %v %v", a, others, err)
	}
	if files, _ := os.ReadDir(root); len(files) != 1 || files[0].Name() != "17.lock" {
		t.Errorf("%v", files)
	}
	os.Chown(root, 65534, 65534)
	a, _, err = Announce(Place{link, nobody})
	if err != nil || a.Close() != nil {
		t.Errorf("in their own: %v", err)
	}
	if files, _ := os.ReadDir(root); len(files) != 0 { // the dead one is gone as well
		t.Errorf("%v", files)
	}
}

// An entry that was stale when it was opened, and belongs to a living process when
// it is looked at, stays.
func TestEntryOfANewProcessStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "17.lock")
	stale, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer stale.Close()
	os.Remove(path) // another copy was faster
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if held(stale, path) {
		t.Error("the stale one is held")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
