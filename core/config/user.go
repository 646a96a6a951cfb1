package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is the person in front of the terminal: under sudo, the one who called it.
type User struct {
	Name     string
	UID, GID int
	Groups   []int  // beside GID; of another user only
	Home     string // empty when there is none
	// Other is true when that is not who we run as: files of this user are then
	// touched with their rights, never with ours.
	Other bool
}

// Invoker finds the user from the environment ("KEY=value" entries) and the
// user database. Root who was not called through sudo, doas or pkexec is root.
func Invoker(env []string) User {
	own := User{UID: os.Geteuid(), GID: os.Getegid(), Home: getenv(env, "HOME")}
	if u, err := user.LookupId(strconv.Itoa(own.UID)); err == nil {
		own.Name = u.Username
		if own.Home == "" {
			own.Home = u.HomeDir
		}
	}
	if !filepath.IsAbs(own.Home) {
		own.Home = ""
	}
	if own.UID != 0 {
		return own
	}
	var u *user.User
	var err error
	switch {
	case getenv(env, "SUDO_UID") != "":
		u, err = user.LookupId(getenv(env, "SUDO_UID"))
	case getenv(env, "DOAS_USER") != "":
		u, err = user.Lookup(getenv(env, "DOAS_USER"))
	case getenv(env, "PKEXEC_UID") != "":
		u, err = user.LookupId(getenv(env, "PKEXEC_UID"))
	default:
		return own
	}
	if err != nil {
		return unknown(env, own)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil || uid <= 0 {
		return own
	}
	if !filepath.IsAbs(u.HomeDir) {
		u.HomeDir = ""
	}
	return User{Name: u.Username, UID: uid, GID: gid, Groups: groupsOf(u), Home: u.HomeDir, Other: true}
}

// unknown is a caller whom the user database does not have, or not for us: one of
// a directory service. They are not taken for root.
func unknown(env []string, own User) User {
	u := User{Name: getenv(env, "SUDO_USER"), UID: nobodyID, GID: nobodyID, Other: true}
	for _, id := range []struct {
		name string
		to   *int
	}{{"SUDO_UID", &u.UID}, {"PKEXEC_UID", &u.UID}, {"SUDO_GID", &u.GID}} {
		text := getenv(env, id.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return own // nobody who calls others writes such
		}
		*id.to = int(n)
	}
	if u.UID == 0 {
		return own
	}
	if u.Name == "" {
		u.Name = "number " + strconv.Itoa(u.UID)
	}
	return u
}

// nobodyID is who may nothing.
const nobodyID = 65534

// groupsOf are a user's groups; none where they cannot be found out.
func groupsOf(u *user.User) (groups []int) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 31); err == nil {
			groups = append(groups, int(n))
		}
	}
	return groups
}

// Do runs f with the user's rights on files: what they cannot read is not read,
// what is created is theirs, and no link of theirs leads us astray. f must not
// start goroutines that touch files. It blocks as long as f does.
func (u User) Do(f func() error) error {
	if !u.Other {
		return f()
	}
	result := make(chan error, 1)
	go func() {
		// The thread is not unlocked when its rights could not be restored: it
		// then ends with the goroutine.
		runtime.LockOSThread()
		restore, err := u.become()
		if err != nil {
			result <- fmt.Errorf("act as user %s: %w", u.Name, err)
			return
		}
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("act as user %s: panic: %v", u.Name, p)
			}
			if restore() {
				runtime.UnlockOSThread()
			}
			result <- err
		}()
		err = f()
	}()
	return <-result
}

// become changes the file-system user of this thread, and its groups: those of
// root may read what the user may not. Only the thread's own rights change, so
// nothing else in the program is disturbed.
func (u User) become() (restore func() bool, err error) {
	oldUID, oldGID := fsIDs()
	oldGroups, err := syscall.Getgroups()
	if err != nil {
		return nil, fmt.Errorf("read our groups: %w", err)
	}
	restore = func() bool {
		unix.SetfsuidRetUid(oldUID)
		unix.SetfsgidRetGid(oldGID)
		uid, gid := fsIDs()
		return setGroups(oldGroups) == nil && uid == oldUID && gid == oldGID
	}
	if err := setGroups(u.Groups); err != nil {
		return nil, fmt.Errorf("change the groups (CAP_SETGID): %w", err)
	}
	unix.SetfsgidRetGid(u.GID)
	unix.SetfsuidRetUid(u.UID)
	if uid, gid := fsIDs(); uid != u.UID || gid != u.GID {
		restore()
		return nil, errors.New("not allowed to change the user (CAP_SETUID and CAP_SETGID)")
	}
	return restore, nil
}

// setGroups changes the groups of this thread; the library would change those of
// all threads.
func setGroups(groups []int) error {
	ids := make([]uint32, len(groups)+1) // never empty, for its address
	for i, g := range groups {
		ids[i] = uint32(g)
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&ids[0])), 0); e != 0 {
		return e
	}
	return nil
}

// fsIDs reads the current ids: the calls return them and refuse -1.
func fsIDs() (uid, gid int) {
	uid, _ = unix.SetfsuidRetUid(-1)
	gid, _ = unix.SetfsgidRetGid(-1)
	return uid, gid
}

// getenv returns the last value of a variable, as the shell would.
func getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}
