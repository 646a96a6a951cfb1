package push

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	ours "vitals/core/config"
)

// asNobody runs f with the rights of nobody on files.
func asNobody(f func() error) error {
	return ours.User{Name: "nobody", UID: 65534, GID: 65534, Other: true}.Do(f)
}

// files fills in every field of client settings that names a file, whatever the
// library calls it, and returns how many there are.
func files(v reflect.Value, name string) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() && v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem().PkgPath() == reflect.TypeFor[config.TLSConfig]().PkgPath() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		if !v.IsNil() {
			return files(v.Elem(), name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			switch f := v.Field(i); {
			case strings.HasSuffix(tag, "_file"):
				f.SetString(name)
				n++
			case tag == "files":
				f.Set(reflect.ValueOf([]string{name}))
				n++
			case f.CanSet():
				n += files(f, name)
			}
		}
	case reflect.Map:
		if v.Type().Elem() == reflect.TypeFor[config.Header]() {
			one := reflect.New(v.Type().Elem()).Elem()
			n = files(one, name)
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf("X-A"), one)
		}
	}
	return n
}

// naming counts the fields that still name the file.
func naming(v any, name string) (n int) {
	walk(reflect.ValueOf(v), func(v reflect.Value) {
		if v.Kind() == reflect.String && v.String() == name {
			n++
		}
	})
	return n
}

// Whatever setting of the library names a file: it is read here.
func TestEveryFileOfTheSettingsIsInlined(t *testing.T) {
	var c config.HTTPClientConfig
	want := files(reflect.ValueOf(&c), "/a/file")
	if got := naming(&c, "/a/file"); want < 13 || got != want {
		t.Fatalf("%d fields name a file, %d do", want, got)
	}
	read := 0
	in, err := inline(&c, func(string) (string, error) { read++; return "text\n", nil })
	if err != nil || read != want || naming(in, "/a/file") != 0 || naming(in, "text") != want {
		t.Errorf("%d of %d were read, %d left, %d there: %v", read, want, naming(in, "/a/file"), naming(in, "text"), err)
	}
	if naming(&c, "/a/file") != want {
		t.Error("the settings themselves changed")
	}
	if _, err := inline(&c, func(string) (string, error) { return " \n", nil }); err == nil {
		t.Error("an empty authority would be that of the system")
	}
}

// Settings of somebody else name what they may read, or nothing is sent.
func TestFilesAreReadWithTheRightsOfTheAuthor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	asked := make(chan string, 9)
	gw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte("not you with " + r.Header.Get("Authorization")))
	}))
	defer gw.Close()
	dir := t.TempDir()
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	file := filepath.Join(dir, "token")
	os.WriteFile(file, []byte("topsecret\n"), 0o600)
	c := Config{URL: gw.URL, Instance: "i", Job: "j", Source: newSource(1), Families: families, As: asNobody, Timeout: 20 * time.Second,
		HTTP: &config.HTTPClientConfig{Authorization: &config.Authorization{Type: "Bearer", CredentialsFile: file}}}
	err := Once(context.Background(), c)
	if err == nil || !strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "topsecret") || len(asked) != 0 {
		t.Fatalf("%d requests, %v", len(asked), err)
	}
	os.Chown(file, 65534, 65534)
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPusher(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, token := range []string{"topsecret", "rotated"} {
		os.WriteFile(file, []byte(token), 0o600)
		err := p.once(t.Context(), families(s.Source.Latest()))
		got := ""
		select {
		case got = <-asked:
		default: // nothing was sent: err says why
		}
		if got != "Bearer "+token || err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q was sent: %v", got, err)
		}
	}
	os.Chown(file, 0, 0)
	if err := p.once(t.Context(), families(s.Source.Latest())); err == nil || len(asked) != 0 {
		t.Errorf("%d requests with a token that may not be read any more: %v", len(asked), err)
	}
}

// A text file is written where its author may write, and is the author's.
func TestTextfileIsTheAuthors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "textfile")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	file := filepath.Join(dir, "vitals.prom")
	c := Config{Kind: Textfile, Path: file, Source: newSource(1), Families: families, As: asNobody}
	if err := Once(t.Context(), c); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("written where the author may not: %v", err)
	}
	s, _ := c.check()
	if _, err := (&textfile{settings: s}).check(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the check: %v", err)
	}
	os.Chown(dir, 65534, 65534)
	if err := Once(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || owner(st) != 65534 {
		t.Errorf("%v", err)
	}
}

func owner(i os.FileInfo) uint32 { return i.Sys().(*syscall.Stat_t).Uid }
