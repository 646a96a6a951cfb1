package discover

import (
	"bytes"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vitals/core"
)

// runtime tells what a process is written in. The executable speaks first (Go
// and Rust say so, interpreters have names), then the libraries that are mapped,
// which is where launchers and embedders show what they run.
func (r *reader) runtime(pid int32) core.Runtime {
	var prog program
	if fd, err := r.proc.open(pid, "exe", unix.O_RDONLY|unix.O_NONBLOCK); err == nil {
		f := os.NewFile(uintptr(fd), "exe")
		prog = r.shared.programs.get(f)
		_ = f.Close()
	}
	if prog.language == langGo || prog.language == langRust {
		return clean(core.Runtime{Language: prog.language, Version: prog.version, SDK: prog.sdk})
	}
	exe, err := r.proc.link(pid, "exe", r.names[:])
	if err != nil {
		return core.Runtime{}
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	language, version := interpreter(baseName(exe))
	if language == shell {
		return clean(core.Runtime{Language: prog.language, Version: prog.version})
	}
	mapped := parseMaps(r.readMaps(pid))
	switch {
	case language == "" && mapped.language != "":
		language, version = mapped.language, mapped.version
	case language == "":
		language, version = prog.language, prog.version
	case prog.language == language && prog.version != "": // more exact than a name
		version = prog.version
	case mapped.language == language && mapped.version != "":
		version = mapped.version
	}
	switch {
	case language == langJava:
		if v := r.javaVersion(pid, exe, mapped.jvm); v != "" {
			version = v
		}
	case language == langNode && version == "":
		version = r.nodeVersion(pid, exe)
	}
	return clean(core.Runtime{Language: language, Version: version, SDK: mapped.sdk})
}

func clean(r core.Runtime) core.Runtime {
	r.Version, r.SDK = core.Clean(r.Version, 64), core.Clean(r.SDK, core.MaxName)
	return r
}

// readMaps reads as much of /proc/PID/maps as is worth it.
func (r *reader) readMaps(pid int32) []byte {
	if r.maps == nil {
		r.maps = make([]byte, 64<<10)
	}
	for {
		text, err := r.proc.read(pid, "maps", r.maps)
		if err != nil {
			return nil
		}
		if len(text) < len(r.maps) || len(r.maps) >= maxMaps {
			return text
		}
		r.maps = make([]byte, len(r.maps)*4)
	}
}

// mappings is what mapped libraries say.
type mappings struct {
	language, version string
	sdk               string
	jvm               string // path of libjvm.so
}

// parseMaps reads /proc/PID/maps. Only file names count; each is looked at once,
// since a library's mappings follow each other.
func parseMaps(text []byte) (m mappings) {
	var last []byte
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		i := bytes.IndexByte(line, '/')
		if i < 0 || bytes.Equal(line[i:], last) {
			continue
		}
		last = line[i:]
		file := string(last)
		m.see(strings.TrimSuffix(file, " (deleted)"))
	}
	return m
}

func (m *mappings) see(file string) {
	base := baseName(file)
	if strings.Contains(base, "opentelemetry") && m.sdk == "" {
		m.sdk = "opentelemetry (" + base + ")"
	}
	if m.language == langPHP && m.version == "" {
		m.version = phpVersion(file)
	}
	language, version := libraryRuntime(base)
	if language == "" && strings.Contains(file, "/no-debug-") { // extensions of PHP
		language, version = langPHP, phpVersion(file)
	}
	if language == "" || m.language == langJava || m.language == langDotnet {
		return // a virtual machine that embeds another language stays what it is
	}
	if language == langDotnet {
		version = path.Base(path.Dir(file))
		if version == "" || version[0] < '0' || version[0] > '9' {
			version = ""
		}
	}
	if language == langJava {
		m.jvm = file
	}
	if m.language == "" || language == langJava || language == langDotnet {
		m.language, m.version = language, version
	}
}

// libraryRuntime recognises the shared library that a language's runtime is.
func libraryRuntime(base string) (language, version string) {
	name, rest, ok := strings.Cut(base, ".so")
	if !ok {
		return "", ""
	}
	switch {
	case name == "libjvm":
		return langJava, ""
	case name == "libcoreclr":
		return langDotnet, ""
	case name == "libnode":
		return langNode, ""
	case name == "libpython3": // the stable ABI's shim
		return langPython, ""
	case strings.HasPrefix(name, "libpython"):
		return langPython, strings.TrimRight(strings.TrimPrefix(name, "libpython"), "mud")
	case name == "libruby" || strings.HasPrefix(name, "libruby-") || strings.HasPrefix(name, "libruby2") || strings.HasPrefix(name, "libruby3"):
		if v := strings.TrimPrefix(rest, "."); v != "" {
			return langRuby, v
		}
		return langRuby, strings.TrimLeft(strings.TrimPrefix(name, "libruby"), "-")
	case name == "libphp" || strings.HasPrefix(name, "libphp7") || strings.HasPrefix(name, "libphp8"):
		return langPHP, strings.TrimPrefix(name, "libphp")
	}
	return "", ""
}

// phpAPI maps the build number in the path of PHP's extensions to its version.
var phpAPI = map[string]string{
	"20170718": "7.2", "20180731": "7.3", "20190902": "7.4", "20200930": "8.0", "20210902": "8.1",
	"20220829": "8.2", "20230831": "8.3", "20240924": "8.4",
}

func phpVersion(file string) string {
	for part := range strings.SplitSeq(path.Dir(file), "/") {
		if v := phpAPI[strings.TrimPrefix(part, "no-debug-non-zts-")]; v != "" {
			return v
		}
		if v := phpAPI[strings.TrimPrefix(part, "no-debug-zts-")]; v != "" {
			return v
		}
	}
	return ""
}

// javaVersion reads the release file of the Java home that libjvm.so
// (home/lib/server/libjvm.so, with jre and the architecture between in old
// ones) or the executable (home/bin/java) is in.
func (r *reader) javaVersion(pid int32, exe, jvm string) string {
	for _, start := range [...]string{jvm, exe} {
		if start == "" {
			continue
		}
		folder := path.Dir(start)
		for range 5 {
			folder = path.Dir(folder)
			if folder == "/" || folder == "." {
				break
			}
			if v := releaseVersion(r.readInside(pid, folder+"/release", 16<<10)); v != "" {
				return v
			}
		}
	}
	return ""
}

// releaseVersion finds JAVA_VERSION="17.0.15".
func releaseVersion(text []byte) string {
	for line := range bytes.Lines(text) {
		if v, ok := bytes.CutPrefix(line, []byte(`JAVA_VERSION="`)); ok {
			if end := bytes.IndexByte(v, '"'); end > 0 {
				return string(v[:end])
			}
		}
	}
	return ""
}

// nodeVersion reads the header that Node is installed with, else the version in
// the folder's name, as version managers have it (.../v20.11.1/bin/node).
func (r *reader) nodeVersion(pid int32, exe string) string {
	prefix := path.Dir(path.Dir(exe))
	if v := headerVersion(r.readInside(pid, prefix+"/include/node/node_version.h", 16<<10)); v != "" {
		return v
	}
	if v, ok := strings.CutPrefix(path.Base(prefix), "v"); ok && isDigits(strings.ReplaceAll(v, ".", "")) {
		return v
	}
	return ""
}

// headerVersion reads the three defines of node_version.h.
func headerVersion(text []byte) string {
	var parts [3]string
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) != 3 || string(fields[0]) != "#define" {
			continue
		}
		for i, name := range [...]string{"NODE_MAJOR_VERSION", "NODE_MINOR_VERSION", "NODE_PATCH_VERSION"} {
			if string(fields[1]) == name && isDigits(string(fields[2])) {
				parts[i] = string(fields[2])
			}
		}
	}
	if parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return ""
	}
	return strings.Join(parts[:], ".")
}
