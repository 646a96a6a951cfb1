package discover

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"time"

	"vitals/core"
)

const (
	passwdFile  = "/etc/passwd"
	maxPasswd   = 65536 // lines looked at
	passwdCheck = 5 * time.Second
)

// users names user ids from the host's passwd file. Directories behind it (LDAP,
// SSSD) are not asked: they may block for seconds. One goroutine uses it.
type users struct {
	file    string
	names   map[uint32]string
	checked time.Time
	mtime   time.Time
}

// name returns the user's name, or the number when nobody has it.
func (u *users) name(uid uint32, now time.Time) string {
	if now.Sub(u.checked) >= passwdCheck {
		u.checked = now
		if info, err := os.Stat(u.file); err == nil && !info.ModTime().Equal(u.mtime) {
			u.mtime = info.ModTime()
			u.names = readPasswd(u.file)
		}
	}
	if name := u.names[uid]; name != "" {
		return name
	}
	return strconv.FormatUint(uint64(uid), 10)
}

func readPasswd(file string) map[uint32]string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	names := make(map[uint32]string)
	lines := bufio.NewScanner(f)
	for n := 0; n < maxPasswd && lines.Scan(); n++ {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		_, rest, _ = strings.Cut(rest, ":")
		number, _, _ := strings.Cut(rest, ":")
		uid, err := strconv.ParseUint(number, 10, 32)
		if _, known := names[uint32(uid)]; err == nil && !known && name != "" {
			names[uint32(uid)] = core.Clean(name, core.MaxName)
		}
	}
	return names
}
