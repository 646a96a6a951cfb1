package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// maxSecret bounds what a reference may give.
const maxSecret = 64 << 10

// Secret is a password or token of settings. It prints as "***" whatever prints
// it. Only what an operator wrote, which is read by UnmarshalText, can be a
// reference: file:/path, env:NAME, cmd:program arguments, credential:NAME (of
// systemd). What was found by looking at processes comes through Plain and never
// is one.
type Secret struct {
	text string
	kind string // "file", "env", "cmd", "credential", or "" for text itself
	seen *atomic.Pointer[string]
}

// Plain is a secret that is not a reference, whatever it looks like.
func Plain(s string) Secret { return Secret{text: s, seen: new(atomic.Pointer[string])} }

// UnmarshalText reads what an operator wrote; plain:… is taken as it is.
func (s *Secret) UnmarshalText(b []byte) error {
	text := string(b)
	*s = Plain(text)
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		return nil
	}
	switch kind {
	case "plain":
		s.text = rest
		return nil
	case "file":
		if !filepath.IsAbs(rest) {
			return errors.New("a secret's file needs an absolute path, for example file:/etc/vitals/redis.password")
		}
	case "env", "cmd":
		if strings.TrimSpace(rest) == "" {
			return fmt.Errorf("nothing follows %s:", kind)
		}
	case "credential":
		if rest == "" || strings.Contains(rest, "/") {
			return errors.New("a credential needs the name that systemd knows it by, without slashes")
		}
	default:
		return nil
	}
	s.kind, s.text = kind, rest
	return nil
}

// Empty reports whether nothing was given.
func (s Secret) Empty() bool { return s.text == "" && s.kind == "" }

// Reference reports whether the secret is elsewhere and read at each connect.
func (s Secret) Reference() bool { return s.kind != "" }

// File is the path of a file reference, "" of others.
func (s Secret) File() string {
	if s.kind == "file" {
		return s.text
	}
	return ""
}

// String hides the secret.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return "***"
}

// GoString hides the secret.
func (s Secret) GoString() string { return "kit.Secret{***}" }

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Read gives the secret itself. References are read anew each time, so that a
// rotated one is taken up at the next connect; a command has 5 s. Errors never
// hold the secret.
func (s Secret) Read(ctx context.Context) (string, error) {
	got, err := s.read(ctx)
	if err != nil {
		return "", fmt.Errorf("the secret cannot be read: %w", err)
	}
	if s.seen != nil && got != "" {
		s.seen.Store(&got)
	}
	return got, nil
}

func (s Secret) read(ctx context.Context) (string, error) {
	switch s.kind {
	case "file":
		var text string
		err := operatorOf(ctx).As(func() (err error) {
			text, err = readBounded(s.text)
			return err
		})
		return text, err
	case "credential":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", errors.New("systemd gave no credentials (LoadCredential= in the unit)")
		}
		var text string
		err := operatorOf(ctx).As(func() (err error) {
			text, err = readBounded(filepath.Join(dir, s.text))
			return err
		})
		return text, err
	case "env":
		v, ok := os.LookupEnv(s.text)
		if !ok {
			return "", fmt.Errorf("the variable %s is not set", s.text)
		}
		return v, nil
	case "cmd":
		return output(ctx, strings.Fields(s.text))
	}
	return s.text, nil
}

func readBounded(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in its place must not hang us
	if err != nil {
		return "", err
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a plain file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil || len(b) > maxSecret {
		return "", fmt.Errorf("%s is longer than %d bytes or cannot be read", path, maxSecret)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// output runs a command and gives what it prints. What it prints on errors may
// hold anything and is not repeated.
func output(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.Command(args[0], args[1:]...)
	operatorOf(ctx).demote(cmd)
	var out bounded
	cmd.Stdout = &out
	if err := run(ctx, cmd); err != nil {
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	return strings.TrimRight(out.text.String(), "\r\n"), nil
}

// bounded has no other methods of its buffer: io.Copy would take its ReadFrom,
// which knows no bound.
type bounded struct{ text bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > maxSecret {
		return 0, fmt.Errorf("more than %d bytes", maxSecret)
	}
	return b.text.Write(p)
}

// Hide replaces the secret in a text that came from elsewhere. One that is
// shorter than four characters would hide ordinary words and is left.
func (s Secret) Hide(text string) string {
	if len(s.text) >= 4 && s.kind == "" {
		text = strings.ReplaceAll(text, s.text, "***")
	}
	if s.seen != nil {
		if v := s.seen.Load(); v != nil && len(*v) >= 4 {
			text = strings.ReplaceAll(text, *v, "***")
		}
	}
	return text
}

// Login is who logs in and how; settings of kinds that log in embed it, with the
// tag `yaml:",inline"`, so that all of them spell it alike and the dashboard can
// fill it in.
type Login struct {
	User     string `yaml:"user"`
	Password Secret `yaml:"password"`
	// Ambient lets the integration log in as the server's own user over its Unix
	// socket, where the server asks the kernel who connects and nobody else.
	Ambient bool `yaml:"ambient"`
}

// Credentials gives the framework a way to the embedded Login.
func (l *Login) Credentials() *Login { return l }
