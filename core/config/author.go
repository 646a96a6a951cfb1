package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// Who may call sudo vitals, and nothing else, must not get at root's files by it.
// So what a file of the machine's own configuration says is root's word, and
// everything else, that file's name included, is the word of who called sudo.

// ofMachine reports whether a file belongs to the machine's own configuration,
// in which only root can write. Who owns a file elsewhere tells nothing: root's
// are also those under /proc that show what a user typed.
func ofMachine(file string) bool {
	file, err := filepath.Abs(file)
	return err == nil && strings.HasPrefix(file, systemDir+"/")
}

// author is whose rights hold for a file and for what stands in it.
func (p Paths) author(file string) User {
	if ofMachine(file) {
		return User{}
	}
	return p.User
}

// read reads a configuration with the rights of its author.
func (p Paths) read(file string) (text []byte, err error) {
	if ofMachine(file) {
		file, _ = filepath.Abs(file)
	}
	err = p.author(file).Do(func() (err error) {
		text, err = read(file, maxFile)
		return err
	})
	return text, err
}

// remedy is what to do about a named file that cannot be read.
func (p Paths) remedy(err error) string {
	if p.User.Other && errors.Is(err, fs.ErrPermission) {
		return "under sudo it is read with the rights of " + p.User.Name + ", unless it is in " + systemDir
	}
	return "check the path given with --config"
}

// Author is whose rights hold for what a setting names: files that are read or
// written, commands that are run. Its Do does the same as calling when that is
// who we run as.
func (l *Loaded) Author(key string) User {
	if l.File != "" && strings.HasPrefix(l.Sources[key], l.File+":") {
		return l.Paths.author(l.File)
	}
	return l.Paths.User
}

// PushAuthor is Author of the destinations: of root only when no flag and no
// variable has changed where they are.
func (l *Loaded) PushAuthor() User {
	for _, key := range []string{"push", "push.url", "push.path", "push.http"} {
		if from, given := l.Sources[key]; given && from != "default" && l.Author(key).Other {
			return l.Paths.User
		}
	}
	if l.File == "" {
		return l.Paths.User
	}
	return l.Paths.author(l.File)
}

// keepLogin takes root's login from a destination that somebody else named.
func (l *Loaded) keepLogin() {
	if l.Push.HTTP == "" || l.Author("push.http").Other || !l.PushAuthor().Other {
		return
	}
	l.Push.HTTP = ""
	l.Warnings = append(l.Warnings, "push.http of "+l.File+" is not used: it is for the address there, not for one that "+l.Paths.User.Name+" gave")
}
