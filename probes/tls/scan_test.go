package tls

import (
	"os"
	"strings"
	"testing"
)

func TestMappingsOfThisProcess(t *testing.T) {
	files, err := mappings("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if files[0].path != exe || files[0].open != "/proc/self/exe" {
		t.Errorf("the program is %+v, want %s", files[0], exe)
	}
}

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]string{
		"7f0-7f1 r-xp 00000000 08:01 123  /usr/lib/libssl.so.3":       "/usr/lib/libssl.so.3",
		"7f0-7f1 r-xp 00000000 08:01 123  /a b/libssl.so.3 (deleted)": "/a b/libssl.so.3 (deleted)",
		"7f0-7f1 r-xp 00000000 00:00 0 ":                              "",
		"7f0-7f1 r-xp 00000000 00:00 0    [vdso]":                     "",
		"garbage": "", "": "",
	} {
		if _, _, path, _ := parseMapping(line); path != want {
			t.Errorf("%q: %q, want %q", line, path, want)
		}
	}
}

func TestLibraries(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/lib/x86_64-linux-gnu/libssl.so.3": "OpenSSL", "/opt/libssl.so.1.1": "OpenSSL", "/py/libssl-1a2b.so.1.1": "OpenSSL",
		"/usr/lib/libgnutls.so.30": "GnuTLS", "/usr/lib/libc.so.6": "", "/usr/lib/libcrypto.so.3": "",
	} {
		if l, ok := libraryOf(path); l.name != want || ok != (want != "") {
			t.Errorf("%s: %q", path, l.name)
		}
	}
}

// What speaks no TLS that we know says so in words.
func TestBlindProcessesSayWhy(t *testing.T) {
	targets, blind, err := Look("/proc/self") // a test binary without crypto/tls, or with it
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) == 0 && !strings.Contains(blind, "TLS") {
		t.Errorf("blind because: %q", blind)
	}
}
