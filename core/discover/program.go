package discover

import (
	"path"
	"strings"

	"vitals/core"
)

// What an executable is, by its name without a version.
const (
	langPython = "python"
	langNode   = "node"
	langJava   = "java"
	langRuby   = "ruby"
	langPHP    = "php"
	langDotnet = "dotnet"
	langPerl   = "perl"
	langGo     = "go"
	langRust   = "rust"
	langC      = "c"
	shell      = "sh" // no language of its own: the executable is C, the program a script
)

var interpreters = map[string]string{
	"python": langPython, "pypy": langPython,
	"node": langNode, "nodejs": langNode, "bun": "bun", "deno": "deno",
	"java": langJava,
	"ruby": langRuby, "truffleruby": langRuby,
	"php": langPHP, "php-fpm": langPHP, "php-cgi": langPHP,
	"dotnet": langDotnet, "mono": langDotnet, "mono-sgen": langDotnet,
	"perl": langPerl,
	"sh":   shell, "bash": shell, "dash": shell, "ash": shell, "zsh": shell, "ksh": shell,
}

// interpreter says which interpreter an executable is by its base name, and the
// version that the name carries: "python3.11" is python 3.11.
func interpreter(base string) (kind, version string) {
	if kind := interpreters[base]; kind != "" {
		return kind, ""
	}
	name := strings.TrimRight(base, "0123456789.")
	version = strings.Trim(base[len(name):], ".")
	kind = interpreters[strings.TrimRight(name, "-")]
	if kind == "" || kind == shell {
		return kind, ""
	}
	if kind == langPHP && len(version) == 2 { // php82, as Alpine and Remi have it
		version = version[:1] + "." + version[1:]
	}
	return kind, version
}

// withValue lists the options of interpreters that take the next argument.
var withValue = map[string]string{
	langPython: " -W -X -Q --check-hash-based-pycs ",
	langNode:   " -r --require --import --loader --experimental-loader --env-file -C --conditions --title --max-old-space-size ",
	langRuby:   " -I -r -C -E --encoding ",
	langPHP:    " -c -d -z -t ",
	langPerl:   " -I ",
	langDotnet: " --fx-version --roll-forward --additionalprobingpath --additional-deps --runtimeconfig --depsfile ",
	shell:      " -o -O --rcfile --init-file ",
	langJava: " -cp -classpath --class-path -p --module-path --add-modules --add-reads --add-exports --add-opens " +
		"--limit-modules --upgrade-module-path ",
}

// programName is what people call the program that a process runs: the script,
// jar, class or module of an interpreter, else the executable. cwd is asked
// only when the script's name alone says too little.
func programName(exe string, argv []string, cwd func() string) string {
	base := baseName(exe)
	kind, _ := interpreter(base)
	if kind == "" {
		return strings.TrimPrefix(base, "memfd:")
	}
	plain := strings.TrimRight(strings.TrimRight(base, "0123456789."), "-")
	if title := titleName(argv); title != "" {
		return title
	}
	script, isPath := mainArgument(kind, argv)
	if script == "" || strings.HasPrefix(script, "/dev/") || strings.HasPrefix(script, "/proc/") { // a pipe
		return plain
	}
	if !isPath {
		return script
	}
	return scriptName(script, cwd)
}

// titleName is the first word of a process title: programs that set one leave a
// single argument with spaces ("gunicorn: worker [shop]", "puma 6.4 (tcp://...)").
func titleName(argv []string) string {
	if len(argv) != 1 {
		return ""
	}
	word, _, ok := strings.Cut(argv[0], " ")
	if !ok || word == "" || strings.HasPrefix(word, "/") {
		return ""
	}
	return strings.TrimSuffix(word, ":")
}

// mainArgument finds the program among an interpreter's arguments, and whether
// it is a path. Empty: interactive, or code on the command line.
func mainArgument(kind string, argv []string) (name string, isPath bool) {
	for i := 1; i < len(argv); i++ {
		arg := argv[i]
		next := ""
		if i+1 < len(argv) {
			next = argv[i+1]
		}
		switch {
		case arg == "" || arg == "-":
			return "", false
		case arg == "--" && kind != langJava:
			return next, true
		case kind == langJava && strings.HasPrefix(arg, "@"):
			continue
		case kind == langDotnet && (arg == "exec" || arg == "run" || arg == "watch"):
			continue
		case !strings.HasPrefix(arg, "-"):
			if kind == langJava {
				return className(arg), false
			}
			return arg, true
		case kind == langJava && arg == "-jar":
			return next, true
		case kind == langJava && (arg == "-m" || arg == "--module"):
			module, _, _ := strings.Cut(next, "/")
			return module, false
		case kind == langPython && arg == "-m":
			return next, false
		case kind == langPHP && arg == "-f":
			return next, true
		case isInlineCode(kind, arg):
			return "", false
		case strings.Contains(withValue[kind], " "+arg+" "):
			i++
		}
	}
	return "", false
}

func isInlineCode(kind, arg string) bool {
	switch kind {
	case langPython:
		return arg == "-c"
	case shell: // -c, -lc, -ec ...
		return len(arg) > 1 && arg[1] != '-' && strings.HasSuffix(arg, "c")
	case langNode:
		return arg == "-e" || arg == "-p" || arg == "--eval" || arg == "--print" || arg == "-pe"
	case langRuby, langPerl:
		return arg == "-e" || arg == "-E"
	case langPHP:
		return arg == "-r" || arg == "-S" || arg == "-a"
	}
	return false
}

// className keeps the last part of a class name, all of it when that part is a
// word that every second program uses.
func className(full string) string {
	last := full[strings.LastIndexAny(full, "./")+1:]
	if tooCommon[strings.ToLower(last)] {
		return full
	}
	return last
}

// tooCommon are names that say nothing without the folder they are in.
var tooCommon = map[string]bool{
	"main": true, "app": true, "application": true, "index": true, "server": true, "service": true, "api": true,
	"run": true, "start": true, "manage": true, "wsgi": true, "asgi": true, "__main__": true, "worker": true,
	"launcher": true, "bootstrap": true, "www": true, "cli": true, "entrypoint": true,
}

var scriptSuffixes = []string{
	".py", ".pyc", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".jar", ".war", ".rb", ".ru", ".php", ".phar", ".dll", ".exe",
	".pl", ".sh", ".bash",
}

func scriptName(script string, cwd func() string) string {
	name := baseName(strings.TrimRight(script, "/"))
	for _, suffix := range scriptSuffixes {
		if cut, ok := strings.CutSuffix(name, suffix); ok && cut != "" {
			name = cut
			if suffix == ".jar" || suffix == ".war" {
				name = withoutVersion(name)
			}
			break
		}
	}
	if !tooCommon[strings.ToLower(name)] {
		return name
	}
	folder := path.Dir(script)
	if !path.IsAbs(folder) {
		at := cwd()
		if at == "" {
			return name
		}
		folder = path.Join(at, folder)
	}
	for range 3 { // "bin/www" of /srv/shop is shop/www
		switch last := path.Base(folder); last {
		case "bin", "src", "dist", "build", "lib", "cmd", "app", "target", "public":
			folder = path.Dir(folder)
		case "/", ".", "..":
			return name
		default:
			return last + "/" + name
		}
	}
	return name
}

// withoutVersion cuts "-1.2.3-SNAPSHOT" from the name of a jar, so that an
// update does not make another service of it.
func withoutVersion(name string) string {
	for i := 1; i+1 < len(name); i++ {
		if name[i] == '-' && name[i+1] >= '0' && name[i+1] <= '9' {
			return name[:i]
		}
	}
	return name
}

func baseName(file string) string { return file[strings.LastIndexByte(file, '/')+1:] }

// splitArguments reads /proc/PID/cmdline: arguments that end in NUL. Programs
// that set a title fill what they do not use with NULs or leave the last one out.
func splitArguments(text []byte) []string {
	s := strings.TrimRight(string(text), "\x00")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}

// joinArguments makes a command line for people.
func joinArguments(argv []string) string {
	return core.Clean(withoutValues(strings.TrimRight(strings.Join(argv, " "), " ")), core.MaxCmdline)
}
