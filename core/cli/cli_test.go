package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitals/core"
	"vitals/core/config"
	"vitals/core/diagnose"
)

// called is what a fake of main was asked to do.
type called struct {
	action string
	opts   *Options
}

// fixture is the command line with recording actions and a home of its own.
type fixture struct {
	t      *testing.T
	env    []string
	home   string
	result error
	rows   []diagnose.Row
	status core.Status
}

func newFixture(t *testing.T) *fixture {
	home := t.TempDir()
	return &fixture{t: t, home: home, env: []string{"HOME=" + home, "TERM=xterm-256color", "LC_ALL=C.UTF-8"}}
}

func (f *fixture) file(text string) string {
	f.t.Helper()
	dir := filepath.Join(f.home, ".config", "vitals")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	name := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	return name
}

func (f *fixture) run(args ...string) (code int, stdout, stderr string, got called) {
	act := func(name string) func(context.Context, *Options) error {
		return func(_ context.Context, o *Options) error {
			got = called{name, o}
			return f.result
		}
	}
	a := Actions{
		Dashboard: act("dashboard"), Headless: act("headless"), Snapshot: act("snapshot"), Gateway: act("gateway"),
		Why: func(ctx context.Context, o *Options, subject string) error {
			return act("why "+subject)(ctx, o)
		},
		Check: func(ctx context.Context, o *Options, c CheckOptions) (core.Status, error) {
			return f.status, act(fmt.Sprintf("check %v %v", c.Units, c.Spec))(ctx, o)
		},
		Capabilities: func(context.Context, *Options) []diagnose.Row { return f.rows },
		Themes: func(w io.Writer, dirs []string) error {
			_, err := fmt.Fprintln(w, "list", dirs)
			return err
		},
		ShowTheme: func(w io.Writer, name string, _ []string) error {
			if name != "midnight" {
				return errors.New("unknown theme " + name + ": choose midnight")
			}
			_, err := fmt.Fprintln(w, "show", name)
			return err
		},
		Checks: func([]string) config.Checks {
			return config.Checks{
				Kinds: []string{"requests", "network"},
				Rule: func(s string) error {
					if strings.HasPrefix(s, "planet=") {
						return fmt.Errorf("rule %q: \"planet\" is not a key of rules", s)
					}
					return nil
				},
				Theme: func(s string) error {
					if s != "midnight" {
						return fmt.Errorf("unknown theme %q: choose midnight, daylight", s)
					}
					return nil
				},
			}
		},
		Version: "v1.2.3", Commit: "abc", Env: f.env,
	}
	var out, errs bytes.Buffer
	code = Run(context.Background(), args, a, &out, &errs)
	return code, out.String(), errs.String(), got
}

// Everything that is wrong on a command line is one line that says what to do,
// exit code 2, and nothing was started.
func TestWrongCommandLines(t *testing.T) {
	f := newFixture(t)
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	os.WriteFile(bad, []byte("refresh: 1s\ncolour: red\n"), 0o644)
	garbage := filepath.Join(t.TempDir(), "garbage.yaml")
	os.WriteFile(garbage, []byte("\x00\x01{{{ not yaml"), 0o644)
	for _, c := range []struct {
		args string
		says string // words, all of which must be on the line
	}{
		{"--nonsense", "unknown flag --nonsense --help"},
		{"--pusch http://x", "--pusch mean --push?"},
		{"-z", "unknown flag -z"},
		{"--push", "--push needs value URL"},
		{"--push=", "--push address http://gateway:9091"},
		{"--push ::nourl", "--push ::nourl http://gateway:9091"},
		{"--push ftp://h", "--push ftp http https"},
		{"--push http://h:99999", "--push 99999 65535"},
		{"--push http://h/?a=b", "--push ?"},
		{"--push http://u:p%zz@h:1", "--push escape"},
		{"--push http://h --interval 0s", "--interval 0s 1s"},
		{"--push http://h --interval -5s", "--interval -5s"},
		{"--push http://h --interval 5", "--interval unit 5s"},
		{"--push http://h --interval soon", "--interval soon 15s"},
		{"--push http://h --group a", "--group NAME=VALUE"},
		{"--push http://h --group 1a=b", "--group 1a letters"},
		{"--push http://h --group job=b", "--group --job"},
		{"--push http://h --group __a=b", "--group reserved"},
		{"--push http://h --group a=b --group a=c", "--group twice"},
		{"--push http://h --job=", "--job name"},
		{"--push http://h --once --ui", "--ui --once"},
		{"--once", "--once --push"},
		{"--interval 15s", "--interval --push"},
		{"--ui", "--ui --push"},
		{"--refresh 0s", "--refresh 0s 100ms"},
		{"--refresh -1s", "--refresh -1s"},
		{"--theme nosuch", "--theme nosuch midnight"},
		{"--color pink", "--color pink truecolor"},
		{"--log-level loud", "--log-level loud debug"},
		{"--ascii=maybe", "--ascii maybe"},
		{"--include planet=mars", "--include planet"},
		{"--include=", "--include empty"},
		{"-p 0", "--pid 0 positive"},
		{"-p 99999999999", "--pid positive"},
		{"-p abc", "--pid abc"},
		{"snapsho", "unknown command snapsho mean snapshot?"},
		{"fly me", "unknown command fly snapshot doctor"},
		{"snapshot extra", "extra no arguments"},
		{"snapshot -o xml", "xml table json prometheus"},
		{"snapshot --for never", "--for never 10s"},
		{"snapshot --for -1s", "--for -1s"},
		{"snapshot --theme midnight", "unknown flag --theme"},
		{"doctor -o yaml", "yaml text json"},
		{"config fix", "fix check print path"},
		{"config check a b", "one file"},
		{"--", "needs a command"},
		{"-p 1 -- sleep 1", "contradict"},
		{"themes show", "needs name midnight"},
		{"themes show nosuch", "nosuch midnight"},
		{"themes paint", "paint list show"},
		{"gateway extra", "extra no arguments"},
		{"gateway --listen 9091", "--listen 9091 127.0.0.1:9091"},
		{"gateway --listen a:b", "--listen a:b"},
		{"gateway --store tape", "--store tape memory disk:DIR log"},
		{"gateway --store disk", "--store directory disk:/var"},
		{"gateway --store disk:", "--store directory"},
		{"gateway --ttl soon", "--ttl soon"},
		{"gateway --timeout 0s", "--timeout 10s"},
		{"gateway --max-body 0", "--max-body 16MiB"},
		{"gateway --max-body -1MiB", "--max-body 16MiB"},
		{"gateway --max-body 9GiB", "--max-body 16MiB"},
		{"completion", "needs shell bash"},
		{"completion tcsh", "tcsh bash"},
		{"--config " + bad + " snapshot", bad + ":2: colour color"},
		{"--config " + garbage + " snapshot", garbage},
		{"--config /nonexistent/x.yaml", "/nonexistent/x.yaml --config"},
		{"--config " + t.TempDir(), "regular"},
	} {
		code, stdout, stderr, got := f.run(strings.Fields(c.args)...)
		if code != ExitUsage || got.action != "" || stdout != "" {
			t.Errorf("%s: exit %d, started %q, stdout %q, stderr %q", c.args, code, got.action, stdout, stderr)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "vitals: ") || strings.Contains(stderr, "Usage:") {
			t.Errorf("%s: not one clear line: %q", c.args, stderr)
		}
		for _, word := range strings.Fields(c.says) {
			if !strings.Contains(stderr, word) {
				t.Errorf("%s: %q does not mention %q", c.args, stderr, word)
			}
		}
	}
}

// Hostile arguments come back harmless.
func TestHostileArguments(t *testing.T) {
	f := newFixture(t)
	for _, arg := range []string{"\x1b[31mred", "--\x1b[31m", "--theme=\x1b]0;x\a", "--push=http://\u202e", "--include=\nplanet=\x07", "-p\x1b"} {
		code, _, stderr, _ := f.run(arg)
		if code != ExitUsage || strings.ContainsAny(strings.TrimSuffix(stderr, "\n"), "\x1b\a\n\u202e") {
			t.Errorf("%q: exit %d, %q", arg, code, stderr)
		}
	}
}

func TestPasswordsAreNotRepeated(t *testing.T) {
	f := newFixture(t)
	for _, args := range [][]string{
		{"--push", "http://me:hunter2@h:99999"}, {"--push", "http://me:hunter2%zz@h"}, {"--push", "ftp://me:hunter2@h"},
		{"--push", "me:hunter2@"}, {"--push", "http://me:hun ter2@h"}, {"--push", "http://me:hunter2@h/?x"},
	} {
		if code, _, stderr, _ := f.run(args...); code != ExitUsage || strings.Contains(stderr, "hun") {
			t.Errorf("%v: exit %d: %q", args, code, stderr)
		}
	}
	f.env = append(f.env, "VITALS_PUSH_URL=http://me:hunter2@gateway:9091/x")
	code, stdout, stderr, _ := f.run("config", "print")
	if code != ExitOK || strings.Contains(stdout+stderr, "hunter2") || !strings.Contains(stdout, "***@gateway:9091/x") {
		t.Errorf("config print: %d %q %q", code, stdout, stderr)
	}
}

// What belongs to later versions says so, and what to use instead.
func TestNotBuiltYet(t *testing.T) {
	f := newFixture(t)
	for _, args := range []string{"themes import x.theme"} {
		code, stdout, stderr, got := f.run(strings.Fields(args)...)
		if code != ExitFailed || stdout != "" || got.action != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "not built yet: ") {
			t.Errorf("%s: exit %d, started %q, %q", args, code, got.action, stderr)
		}
	}
}

func TestDispatch(t *testing.T) {
	for _, c := range []struct {
		args, file, env, want string
	}{
		{"", "", "", "dashboard"},
		{"-p 17", "", "", "dashboard"},
		{"--push http://h", "", "", "headless"},
		{"--push h:9091 --ui", "", "", "dashboard"},
		{"--push h --once", "", "", "headless"},
		{"--push h --dry-run", "", "", "headless"},
		{"", "", "VITALS_PUSH_URL=http://h", "headless"},
		{"--ui", "", "VITALS_PUSH_URL=http://h", "dashboard"},
		{"", "push: {url: \"http://h\"}", "", "dashboard"},
		{"--once", "push: {url: \"http://h\"}", "", "headless"},
		{"snapshot", "", "", "snapshot"},
		{"--listen 9435", "", "", "headless"}, // no terminal
		{"--listen 9435 --plain", "", "", "dashboard"},
		{"--listen 9435 --ui", "", "", "dashboard"},
		{"--listen 9435 --headless", "", "", "headless"},
		{"", "listen: 127.0.0.1:9435", "", "headless"},
		{"--push h --listen :9435 --ui", "", "", "dashboard"},
		{"-- sleep --nonsense", "", "", "dashboard"},
		{"--push h -- sleep 1", "", "", "headless"},
		{"check", "", "", "check [] false"},
		{"check a requests", "", "", "check [a requests] false"},
		{"gateway", "", "", "gateway"},
		{"gateway --listen :9091", "", "", "gateway"},
	} {
		f := newFixture(t)
		if c.file != "" {
			f.file(c.file)
		}
		if c.env != "" {
			f.env = append(f.env, c.env)
		}
		f.status = core.StatusOK
		code, _, stderr, got := f.run(strings.Fields(c.args)...)
		if code != ExitOK || got.action != c.want || stderr != "" {
			t.Errorf("%q %q %q: exit %d, %s instead of %s, %q", c.args, c.file, c.env, code, got.action, c.want, stderr)
		}
	}
}

func TestOptionsArriveParsed(t *testing.T) {
	f := newFixture(t)
	_, _, stderr, got := f.run("--refresh", "500ms", "-p", "17", "--pid", "18,19", "--include", "name=a,user=b", "--include", "c",
		"--push", "http://u:p@h:9091/x/", "--interval", "1m", "--job", "j", "--group", "zone=1", "--group", "env=a=b", "--once", "--instance", "me", "--log-level", "debug")
	o := got.opts
	if o == nil {
		t.Fatal(stderr)
	}
	if o.Refresh != 500*time.Millisecond || fmt.Sprint(o.PIDs) != "[17 18 19]" || fmt.Sprint(o.Include) != "[name=a,user=b c]" {
		t.Errorf("%+v", o.Config)
	}
	if p := o.Push; p.URL != "http://u:p@h:9091/x/" || p.Interval != time.Minute || p.Job != "j" || fmt.Sprint(p.Group) != "[{zone 1} {env a=b}]" {
		t.Errorf("%+v", p)
	}
	if !o.Once || o.DryRun || o.InstanceName() != "me" || o.Log.Level.String() != "DEBUG" {
		t.Errorf("%+v", o)
	}
	_, _, _, got = f.run("snapshot", "--for", "90s", "-o", "json", "-p", "4")
	if o := got.opts; o.For != 90*time.Second || o.Output != "json" || fmt.Sprint(o.PIDs) != "[4]" {
		t.Errorf("%+v", o)
	}
	if host, _ := os.Hostname(); got.opts.InstanceName() != host {
		t.Errorf("instance is %q, host name is %q", got.opts.InstanceName(), host)
	}
}

func TestT70_TheIntervalDefaultsTo15s(t *testing.T) {
	if _, _, stderr, got := newFixture(t).run("--push", "http://h"); got.opts == nil || got.opts.Push.Interval != 15*time.Second {
		t.Errorf("%+v, %q", got.opts, stderr)
	}
}

func TestGatewayOptionsArriveParsed(t *testing.T) {
	f := newFixture(t)
	_, _, stderr, got := f.run("gateway", "--listen", "[::1]:0", "--store", "disk:/x/y:z", "--ttl", "24h", "--timeout", "2s", "--max-body", "64KiB",
		"--rate", "2.5", "--web-config", "/w.yml", "--unchecked", "--utf8-names", "--enable-admin", "--enable-quit", "--log-level", "debug")
	if got.opts == nil {
		t.Fatal(stderr)
	}
	g := *got.opts.Gateway
	if g.Flags["store"] != "disk:/x/y:z" || got.opts.Log.Level.String() != "DEBUG" {
		t.Errorf("%+v", g)
	}
	g.Flags = nil
	want := GatewayOptions{Listen: "[::1]:0", Store: "disk", Dir: "/x/y:z", TTL: 24 * time.Hour, Timeout: 2 * time.Second, MaxBody: 64 << 10, Rate: 2.5, WebConfig: "/w.yml",
		Unchecked: true, UTF8Names: true, Admin: true, Lifecycle: true}
	if fmt.Sprint(g) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", g, want)
	}
	// Nothing is open to the network, and nothing is removed, unless asked for.
	_, _, _, got = f.run("gateway")
	g = *got.opts.Gateway
	g.Flags = nil
	want = GatewayOptions{Listen: "127.0.0.1:9091", Store: "memory", Timeout: 10 * time.Second, MaxBody: 16 << 20}
	if fmt.Sprint(g) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", g, want)
	}
}

// A bad file that nobody named stops nothing: the screen gets the warning, and
// commands write it on stderr.
func TestBadFileThatWasFound(t *testing.T) {
	f := newFixture(t)
	name := f.file("refresh: 2s\ncolour: red\ntheme: nosuch\n")
	code, _, stderr, got := f.run()
	if code != ExitOK || got.action != "dashboard" || stderr != "" {
		t.Fatalf("exit %d, %q, %q", code, got.action, stderr)
	}
	if n := got.opts.Notes(); len(n) != 2 || !strings.Contains(n[0], name+":2: ") || !strings.Contains(n[1], name+":3: theme") || got.opts.Refresh != 2*time.Second || got.opts.Theme != "auto" {
		t.Errorf("notes %q, refresh %v, theme %s", n, got.opts.Refresh, got.opts.Theme)
	}
	code, _, stderr, got = f.run("snapshot")
	if code != ExitOK || got.action != "snapshot" || strings.Count(stderr, "warning: ") != 2 {
		t.Errorf("snapshot: exit %d, %q", code, stderr)
	}
	code, stdout, stderr, _ := f.run("config", "check")
	if code != ExitUsage || stdout != "" || strings.Count(stderr, "\n") != 2 {
		t.Errorf("check: exit %d, %q %q", code, stdout, stderr)
	}
}

func TestConfigCommands(t *testing.T) {
	f := newFixture(t)
	place := filepath.Join(f.home, ".config/vitals/config.yaml")
	if code, stdout, _, _ := f.run("config", "path"); code != ExitOK || stdout != place+"\n" {
		t.Errorf("path: %d %q", code, stdout)
	}
	code, sample, _, _ := f.run("config", "print", "--sample")
	if code != ExitOK {
		t.Fatal(code)
	}
	f.file(sample)
	if code, stdout, stderr, _ := f.run("config", "check"); code != ExitOK || stdout != place+": ok\n" {
		t.Errorf("the sample is not accepted: %d %q %q", code, stdout, stderr)
	}
	f.env = append(f.env, "VITALS_REFRESH=3s", "VITALS_REFERSH=1s")
	code, stdout, stderr, _ := f.run("config", "print", "--instance", "me")
	if code != ExitOK || !strings.Contains(stdout, "# VITALS_REFRESH") || !strings.Contains(stdout, "# --instance") || !strings.Contains(stdout, "# "+place+":") {
		t.Errorf("print: %d %q", code, stdout)
	}
	if !strings.Contains(stderr, "VITALS_REFERSH is not a setting: did you mean VITALS_REFRESH?") {
		t.Errorf("misspelt variable: %q", stderr)
	}
	bad := filepath.Join(t.TempDir(), "b.yaml")
	os.WriteFile(bad, []byte("a: 1\nb: 2\npush: {interval: 0s}\n"), 0o644)
	if code, _, stderr, _ := f.run("config", "check", bad); code != ExitUsage || strings.Count(stderr, "\n") != 4 {
		t.Errorf("check FILE: %d %q", code, stderr) // three lines and the misspelt variable
	}
}

func TestVersionAndHelp(t *testing.T) {
	f := newFixture(t)
	for _, arg := range []string{"version", "--version"} {
		code, stdout, _, _ := f.run(arg)
		if code != ExitOK || !strings.HasPrefix(stdout, "vitals v1.2.3 (commit abc), go") || !strings.Contains(stdout, "kernel ") {
			t.Errorf("%s: %d %q", arg, code, stdout)
		}
	}
	for _, args := range []string{"--help", "-h", "snapshot --help", "config", "themes"} {
		code, stdout, stderr, got := f.run(strings.Fields(args)...)
		if code != ExitOK || stderr != "" || got.action != "" || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%s: %d %q %q", args, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if len([]rune(line)) > 121 {
				t.Errorf("%s: line of %d characters: %q", args, len([]rune(line)), line)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	f := newFixture(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, _, _ := f.run("completion", shell); code != ExitOK || !strings.Contains(stdout, "vitals") {
			t.Errorf("%s: %d", shell, code)
		}
	}
	if _, stdout, _, _ := f.run("__complete", "--color", ""); !strings.Contains(stdout, "truecolor") {
		t.Errorf("values of --color: %q", stdout)
	}
}

func TestThemes(t *testing.T) {
	f := newFixture(t)
	if code, stdout, _, _ := f.run("themes", "list"); code != ExitOK || !strings.Contains(stdout, filepath.Join(f.home, ".config/vitals/themes")) {
		t.Errorf("list: %d %q", code, stdout)
	}
	if code, stdout, _, _ := f.run("themes", "show", "midnight"); code != ExitOK || stdout != "show midnight\n" {
		t.Errorf("show: %d %q", code, stdout)
	}
}

func TestDoctor(t *testing.T) {
	f := newFixture(t)
	f.rows = []diagnose.Row{{Feature: "requests", State: diagnose.Unsupported, Essential: true, Why: "kernel \x1b5.4", Remedy: "upgrade"}}
	code, stdout, stderr, _ := f.run("doctor")
	if code != ExitFailed || stderr != "" || !strings.Contains(stdout, "-> upgrade") || strings.Contains(stdout, "\x1b") {
		t.Errorf("text: %d %q %q", code, stdout, stderr)
	}
	code, stdout, _, _ = f.run("doctor", "-o", "json")
	var r diagnose.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != ExitFailed || r.OK || r.Rows[len(r.Rows)-1].Remedy != "upgrade" {
		t.Errorf("json: %d %v %q", code, err, stdout)
	}
}

func TestExitCodes(t *testing.T) {
	f := newFixture(t)
	f.result = errors.New("push to http://h: connection\nrefused")
	if code, _, stderr, _ := f.run("--push", "http://h"); code != ExitFailed || stderr != "vitals: push to http://h: connection refused\n" {
		t.Errorf("failure: %d %q", code, stderr)
	}
	f.result = Usage(errors.New("bad"))
	if code, _, _, _ := f.run(); code != ExitUsage {
		t.Errorf("usage error of an action: %d", code)
	}
	f.result = context.Canceled
	if code, _, _, _ := f.run(); code != ExitFailed {
		t.Errorf("a cancellation that nobody asked for: %d", code)
	}
}

func TestD26_CheckExitsByHealth(t *testing.T) {
	for status, want := range map[core.Status]int{core.StatusOK: 0, core.StatusError: 1, core.StatusUnknown: 2} {
		f := newFixture(t)
		f.status = status
		if code, _, stderr, _ := f.run("check", "-o", "json"); code != want || stderr != "" {
			t.Errorf("%v: exit %d, %q", status, code, stderr)
		}
	}
	f := newFixture(t)
	f.status = core.StatusOK
	for args, says := range map[string]string{"check -o xml": "format", "check --spec a --config b": "contradict", "check --spec /nowhere.yaml": "nowhere"} {
		if code, _, stderr, got := f.run(strings.Fields(args)...); code != ExitUsage || got.action != "" || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit %d, %q", args, code, stderr)
		}
	}
	if _, _, _, got := f.run("check", "--spec", f.file("listen: 9435\n")); got.action != "check [] true" || got.opts.Listen != "127.0.0.1:9435" {
		t.Errorf("%+v", got)
	}
}

func TestCommandArrivesAndItsExitCodeIsOurs(t *testing.T) {
	f := newFixture(t)
	f.result = fmt.Errorf("x: %w", ExitWith(42))
	code, _, stderr, got := f.run("--plain", "--", "sleep", "--nonsense", "1")
	if code != 42 || stderr != "" || fmt.Sprint(got.opts.Command) != "[sleep --nonsense 1]" || !got.opts.Plain {
		t.Errorf("exit %d, %q, %+v", code, stderr, got.opts)
	}
}
