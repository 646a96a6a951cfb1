package kit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitals/core"
)

type settings struct {
	Address string `yaml:"address"`
	Login   `yaml:",inline"`
	Labels  map[string]string `yaml:"labels"`
}

func kind(change func(*Definition[settings])) Kind {
	d := Definition[settings]{
		Name: "sample", Title: "Sample", Help: "a sample",
		Open: func(settings, Env) (Collector, error) { return nil, nil },
	}
	if change != nil {
		change(&d)
	}
	return New(d)
}

func TestG06_WrongDefinitionsPanic(t *testing.T) {
	for name, make := range map[string]func(){
		"no name":        func() { kind(func(d *Definition[settings]) { d.Name = "" }) },
		"a name of path": func() { kind(func(d *Definition[settings]) { d.Name = "../x" }) },
		"no Open":        func() { kind(func(d *Definition[settings]) { d.Open = nil }) },
		"a func in settings": func() {
			New(Definition[struct{ F func() }]{Name: "x", Title: "X", Help: "x",
				Open: func(struct{ F func() }, Env) (Collector, error) { return nil, nil }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make()
		})
	}
}

func TestG14_DefaultsComeBeforeIdentity(t *testing.T) {
	k := kind(func(d *Definition[settings]) {
		d.Normalise = func(s *settings, _ Shared) error {
			e, err := ParseEndpoint(s.Address, 6379)
			s.Address = e.String()
			return err
		}
		d.Identity = func(s settings) string { return s.Address }
	})
	given := settings{Address: "db"}
	s, id, err := k.Prepare(given, Shared{Instance: "box"})
	if err != nil || id != "db:6379" || s.(settings).Address != "db:6379" {
		t.Errorf("prepared %+v as %q: %v", s, id, err)
	}
	if given.Address != "db" {
		t.Error("the given settings were changed")
	}
}

func TestG64_TheAgentNamesWhatHasNoBetterName(t *testing.T) {
	if _, id, err := kind(nil).Prepare(settings{}, Shared{Instance: "box"}); id != "box" || err != nil {
		t.Errorf("named %q: %v", id, err)
	}
	if _, _, err := kind(nil).Prepare(settings{}, Shared{}); err == nil {
		t.Error("an instance without a name was accepted")
	}
}

func TestG22_ASecretAloneIsAChange(t *testing.T) {
	k, key := kind(nil), []byte("key")
	with := func(s string) settings { return settings{Login: Login{Password: Plain(s)}} }
	a, b := k.Digest(key, with("one"), Shared{}), k.Digest(key, with("two"), Shared{})
	if a == b {
		t.Error("two passwords have one digest")
	}
	if a != k.Digest(key, with("one"), Shared{}) {
		t.Error("one password has two digests")
	}
	if a == k.Digest([]byte("other"), with("one"), Shared{}) {
		t.Error("the digest does not depend on the key: it could be guessed")
	}
}

func TestDigestTellsEverythingApart(t *testing.T) {
	k := kind(nil)
	var ref Secret
	ref.UnmarshalText([]byte("env:one"))
	seen := map[string]int{}
	for i, s := range []settings{
		{}, {Address: "a"}, {Login: Login{User: "a"}}, {Login: Login{Password: Plain("env:one")}}, {Login: Login{Password: ref}},
		{Login: Login{Ambient: true}}, {Labels: map[string]string{"a": "b"}}, {Labels: map[string]string{"b": "a"}}, {Labels: map[string]string{"ab": ""}},
	} {
		d := k.Digest(nil, s, Shared{})
		if before, known := seen[d]; known {
			t.Errorf("settings %d and %d have one digest", before, i)
		}
		seen[d] = i
	}
	a := settings{Labels: map[string]string{"a": "1", "b": "2", "c": "3"}}
	for range 20 {
		if k.Digest(nil, a, Shared{}) != k.Digest(nil, settings{Labels: map[string]string{"c": "3", "b": "2", "a": "1"}}, Shared{}) {
			t.Fatal("the order of a map changes the digest")
		}
	}
	if k.Digest(nil, a, Shared{Instance: "x"}) == k.Digest(nil, a, Shared{Instance: "y"}) {
		t.Error("G-23: shared settings are no part of the digest")
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	s := settings{Login: Login{User: "me", Password: Plain("hunter22")}}
	j, _ := json.Marshal(s)
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%q", s.Password), fmt.Sprintf("%x", s.Password),
		fmt.Sprintf("%v", &s), string(j), s.Password.Hide("login with hunter22 failed"),
	} {
		if strings.Contains(text, "hunter") || strings.Contains(text, "68756e746572") {
			t.Errorf("the secret is in %q", text)
		}
	}
	if !strings.Contains(string(j), "***") {
		t.Errorf("JSON does not say that there is a secret: %s", j)
	}
}

func TestSecretsAreReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	var s Secret
	if err := s.UnmarshalText([]byte("file:" + path)); err != nil || s.File() != path {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		os.WriteFile(path, []byte(want+"\n"), 0o600)
		if got, err := s.Read(t.Context()); got != want || err != nil {
			t.Errorf("read %q: %v", got, err)
		}
	}
	if got := s.Hide("refused second!"); got != "refused ***!" {
		t.Errorf("what was read is not hidden: %q", got)
	}
	t.Setenv("VITALS_TEST_SECRET", "x y")
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	for ref, want := range map[string]string{"env:VITALS_TEST_SECRET": "x y", "cmd:echo a  b": "a b", "credential:p": "second", "plain:env:A": "env:A", "other:x": "other:x"} {
		var s Secret
		if err := s.UnmarshalText([]byte(ref)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(t.Context()); got != want || err != nil {
			t.Errorf("%s gave %q: %v", ref, got, err)
		}
	}
}

func TestSecretsThatCannotBeRead(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge")
	os.WriteFile(huge, make([]byte, maxSecret+1), 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for _, ref := range []string{"file:/nonexistent", "file:" + huge, "file:/dev/zero", "env:VITALS_NOT_SET", "cmd:false", "cmd:yes", "cmd:/nonexistent", "credential:x"} {
		var s Secret
		if err := s.UnmarshalText([]byte(ref)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(t.Context()); err == nil {
			t.Errorf("%s gave %d bytes", ref, len(got))
		}
	}
	for _, ref := range []string{"file:relative", "file:", "env:", "cmd: ", "credential:", "credential:../x"} {
		if new(Secret).UnmarshalText([]byte(ref)) == nil {
			t.Errorf("%s was accepted", ref)
		}
	}
}

// What a process says of itself comes through Plain and is never looked up.
func TestWhatIsFoundIsNeverAReference(t *testing.T) {
	for _, text := range []string{"file:/etc/passwd", "env:PATH", "cmd:id", "credential:x"} {
		s := Plain(text)
		if got, err := s.Read(t.Context()); got != text || err != nil || s.Reference() {
			t.Errorf("%s was looked up: %q %v", text, got, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for given, want := range map[string]string{
		"": "127.0.0.1:9", "db": "db:9", "db:1": "db:1", ":7": "127.0.0.1:7", "::1": "[::1]:9", "[::1]": "[::1]:9", "[::1]:4": "[::1]:4",
		"/run/x": "unix:/run/x", "unix:/run/x": "unix:/run/x", "unix:@x": "unix:@x", " a:1 ": "a:1",
		"unix:x": "", "a:0": "", "a:99999": "", "a:b": "", "a b": "", "user@h:1": "", "h/x:1": "", "a:b:c": "",
		"unix": "", "h:007": "h:7", "h:+7": "", "[fe80::1%eth0]:5": "[fe80::1%eth0]:5", "0[0": "", "unix:/a\x1b": "", "me:geheim@h:1": "",
	} {
		e, err := ParseEndpoint(given, 9)
		if err == nil && e.String() != want || (err != nil) != (want == "") {
			t.Errorf("%q gave %q, %v; want %q", given, e, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v tells a password", err)
		}
	}
}

func TestBatchIsBoundedSortedAndClean(t *testing.T) {
	up := &Metric{Name: "up", Kind: core.Gauge}
	hits := &Metric{Name: "hits_total", Kind: core.Counter, Labels: []string{"db", "app"}}
	b := NewBatch(time.Now(), 4, 2)
	b.Add(up, 1)
	b.Add(up, 2)             // told twice
	b.Add(hits, 1, "b", "x") // not in the order of names
	b.Add(hits, 2, "a\x1b[31m", "")
	b.Add(hits, 3, "one value") // wrong number
	b.Add(hits, 4, "c", "c")    // over the limit
	b.AddFamily(core.Family{Name: "bad name", Series: make([]core.Series, 3)})
	b.Missing("slowlog", os.ErrPermission)
	r := b.Done()
	if len(r.Families) != 2 || r.Families[0].Name != "hits_total" || r.Series != 3 || r.Dropped != 6 || len(r.Missing) != 1 {
		t.Fatalf("%+v", r)
	}
	want := "[{[{app x} {db b}] 1} {[{db a·[31m}] 2}]"
	got := []any{}
	for _, s := range r.Families[0].Series {
		got = append(got, struct {
			L []core.Label
			V float64
		}{s.Labels, s.V})
	}
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFamiliesFromOutsideAreJudged(t *testing.T) {
	b := NewBatch(time.Now(), 0, 0)
	l := func(kv ...string) (out []core.Label) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, core.Label{Name: kv[i], Value: kv[i+1]})
		}
		return out
	}
	b.AddFamily(core.Family{Name: "a:b", Kind: core.Gauge, Series: []core.Series{
		{Labels: l("z", "1", "a", "2")}, {Labels: l("a", "1", "a", "2")}, {Labels: l("__name__", "x")}, {Labels: l("1a", "x")}, {Labels: l("e", "")},
	}})
	b.AddFamily(core.Family{Name: "a:b", Kind: core.Counter, Series: []core.Series{{}}}) // another kind under the same name
	r := b.Done()
	if r.Series != 2 || r.Dropped != 4 || r.Families[0].Series[1].Labels[0].Name != "a" {
		t.Errorf("%+v", r)
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"", "db", "[::1]:4", "unix:/run/x", "unix:@x", "a:b:c", "user@h:1", ":7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s, 9)
		if err != nil {
			return
		}
		again, err := ParseEndpoint(e.String(), 1)
		if err != nil || again != e {
			t.Errorf("%q is %q, which is %q: %v", s, e, again, err)
		}
	})
}
