package discover

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"vitals/core"
)

// numbers is a stat line from field 4 on, with the birth given.
func statRest(state, ppid, flags, threads, birth, exit string) string {
	f := make([]string, 0, 50)
	for i := 3; i <= 52; i++ {
		f = append(f, "0")
	}
	f[0], f[1], f[6], f[17], f[19], f[49] = state, ppid, flags, threads, birth, exit
	f[11], f[12], f[20], f[21] = "150", "25", "8192", "3" // utime, stime, vsize, rss
	f[25] = "18446744073709551615"                        // a limit above 2^63
	return strings.Join(f, " ") + "\n"
}

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		name, line string
		ok         bool
		comm       string
		zombie     bool
	}{
		{"plain", "42 (nginx) " + statRest("S", "1", "4194560", "1", "777", "0"), true, "nginx", false},
		{"name that looks like the rest", "42 (a) S 1) (b) " + statRest("R", "1", "0", "1", "777", "0"), true, "a) S 1) (b", false},
		{"name with newline", "42 (a\nb ) " + statRest("S", "1", "0", "1", "777", "0"), true, "a\nb ", false},
		{"empty name", "42 () " + statRest("S", "1", "0", "1", "777", "0"), true, "", false},
		{"zombie", "42 (x) " + statRest("Z", "1", "0", "1", "777", "9"), true, "x", true},
		{"leader ended, threads live", "42 (x) " + statRest("Z", "1", "0", "3", "777", "0"), true, "x", false},
		{"cut", "42 (x) S 1 2 3", false, "", false},
		{"no name", "42 S 1 2 3", false, "", false},
		{"no number", "x (y) " + statRest("S", "1", "0", "1", "777", "0"), false, "", false},
		{"pid out of range", "4294967297 (y) " + statRest("S", "1", "0", "1", "777", "0"), false, "", false},
		{"empty", "", false, "", false},
		{"parenthesis only", ")(", false, "", false},
	} {
		s, ok := parseStat([]byte(c.line), 4096)
		if ok != c.ok {
			t.Errorf("%s: ok = %v", c.name, ok)
			continue
		}
		if !ok {
			continue
		}
		if string(s.comm) != c.comm || s.pid != 42 || s.ppid != 1 || s.birth != 777 || s.zombie() != c.zombie {
			t.Errorf("%s: %+v", c.name, s)
		}
		if s.usage.CPUUser != 1_500_000_000 || s.usage.CPUSystem != 250_000_000 || s.usage.RSS != 3*4096 || s.usage.VSize != 8192 || s.usage.ReadBytes != -1 {
			t.Errorf("%s: usage %+v", c.name, s.usage)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		_, _ = parseStat([]byte("42 (nginx) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 9"), 4096)
	}); n > 1 { // the conversion of the literal
		t.Errorf("parseStat allocates %v times", n)
	}
}

func TestWaitStatus(t *testing.T) {
	for in, want := range map[int64]core.Exit{
		0:        {},
		3 << 8:   {Code: 3, Known: true},
		9:        {Signal: 9, Known: true},
		11 | 128: {Signal: 11, Core: true, Known: true},
	} {
		if got := waitStatus(in); got != want {
			t.Errorf("waitStatus(%d) = %+v, want %+v", in, got, want)
		}
	}
}

func TestParseStatus(t *testing.T) {
	s := parseStatus([]byte("Name:\tUid:\\n 0\nUid:\t1000\t33\t1000\t1000\nGid:\t0\nNStgid:\t9 8\nNSpid:\t4711\t12\t1\nVmPeak: 1\n"))
	if !s.uidOK || s.uid != 33 || s.nspid != 1 {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"", "Uid:", "Uid:\tx y", "Uid:\t1\nNSpid:", "NSpid:\t-3", "Uid:\t1\t99999999999\n"} {
		if s := parseStatus([]byte(bad)); s.uidOK || s.nspid != 0 {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

const id64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
const other64 = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestI74_ContainerPodAndUnitFromCgroups(t *testing.T) {
	const uid = "6fd8ba3c-5f0e-4d3b-9a43-0f3b6f8d8a01"
	for _, c := range []struct {
		name, text string
		want       place
	}{
		{"root", "0::/\n", place{}},
		{"unit", "0::/system.slice/nginx.service\n", place{unit: "nginx.service"}},
		{"template unit", "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", place{unit: "postgresql@15-main.service"}},
		{"unit with sub group", "0::/system.slice/ssh.service/control\n", place{unit: "ssh.service"}},
		{"scope is no unit", "0::/user.slice/user-1000.slice/session-4.scope\n", place{}},
		{"user session is no unit", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service\n", place{}},
		{"docker v2 systemd", "0::/system.slice/docker-" + id64 + ".scope\n", place{container: id64}},
		{"docker v1", "12:pids:/docker/" + id64 + "\n1:name=systemd:/docker/" + id64 + "\n0::/system.slice/containerd.service\n", place{container: id64, unit: "containerd.service"}},
		{"podman", "0::/machine.slice/libpod-" + id64 + ".scope/container\n", place{container: id64}},
		{"podman's monitor", "0::/machine.slice/libpod-conmon-" + id64 + ".scope\n", place{}},
		{"podman of a user", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id64 + ".scope\n", place{container: id64}},
		{"kubernetes containerd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + id64 + ".scope\n", place{container: id64, podUID: uid}},
		{"kubernetes cgroupfs", "3:cpu:/kubepods/besteffort/pod" + uid + "/" + id64 + "\n", place{container: id64, podUID: uid}},
		{"kubernetes crio", "0::/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/crio-" + id64 + ".scope\n", place{container: id64, podUID: uid}},
		{"cri without systemd", "0::/system.slice/containerd.service/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice:cri-containerd:" + id64 + "\n", place{container: id64, podUID: uid}},
		{"nested: the inner one", "0::/docker/" + id64 + "/docker/" + other64 + "\n", place{container: other64}},
		{"systemd in a container", "0::/docker/" + id64 + "/system.slice/nginx.service\n", place{container: id64, unit: "nginx.service"}},
		{"lxc v2", "0::/lxc.payload.web/system.slice/cron.service\n", place{container: "web", unit: "cron.service"}},
		{"lxc v1", "4:memory:/lxc/web\n", place{container: "web"}},
		{"lxc's monitor", "0::/lxc.monitor.web\n", place{}},
		{"nspawn", "0::/machine.slice/machine-deb\\x2d12.scope/payload\n", place{container: "deb-12"}},
		{"fargate", "5:cpu:/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-265927825\n", place{container: "0123456789abcdef0123456789abcdef-265927825"}},
		{"namespace's own root", "0::/../../init.scope\n", place{}},
		{"garbage", "::\n:\n\x00\n9:\nabc", place{}},
	} {
		if got := parseCgroup(c.text); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestWorkload(t *testing.T) {
	for pod, want := range map[string]string{
		"web-7d4b9c6d5f-x2x9k":      "web",
		"shop-api-6c9f7b8d44-zq2wl": "shop-api",
		"db-0":                      "db-0",
		"node-exporter-x2x9k":       "node-exporter-x2x9k",
		"a-b-c":                     "a-b-c",
		"":                          "",
	} {
		if got := workload(pod); got != want {
			t.Errorf("workload(%q) = %q, want %q", pod, got, want)
		}
	}
}

func TestI61_EnvironmentIsHonouredAndBounded(t *testing.T) {
	env := strings.Join([]string{
		"PATH=/bin", "OTEL_RESOURCE_ATTRIBUTES=service.name=shop,team=a%20b, x = y ,broken,=z,bad=%zz,team=second",
		"HOSTNAME=web-7d4b9c6d5f-x2x9k", "KUBERNETES_SERVICE_HOST=10.0.0.1", "POD_NAMESPACE=prod",
		"JAVA_TOOL_OPTIONS=-javaagent:/otel/opentelemetry-javaagent.jar", "OTEL_SERVICE_NAME_X=no", "NOEQUALS", "",
	}, "\x00")
	e := parseEnviron([]byte(env), false)
	if e.service != "shop" || e.pod != "web-7d4b9c6d5f-x2x9k" || e.namespace != "prod" || e.sdk != "opentelemetry-java agent" || e.malformed != 3 {
		t.Errorf("%+v", e)
	}
	if want := map[string]string{"service.name": "shop", "team": "a b", "x": "y"}; !reflect.DeepEqual(e.attributes, want) {
		t.Errorf("attributes %v, want %v", e.attributes, want)
	}
	if e := parseEnviron([]byte("OTEL_SERVICE_NAME=a\x1b[2J\x00OTEL_SERVICE_NAME=b\x00"), false); e.service != "a·[2J" {
		t.Errorf("service %q: the first counts, cleaned", e.service)
	}
	if e := parseEnviron([]byte("A=1\x00OTEL_SERVICE_NAME=cut-of"), true); e.service != "" {
		t.Errorf("a variable cut in two was taken: %q", e.service)
	}
	if e := parseEnviron([]byte("NODE_OPTIONS=--require @opentelemetry/auto\x00OTEL_SDK_DISABLED=true\x00"), false); e.sdk != "" {
		t.Errorf("disabled sdk %q", e.sdk)
	}
	if e := parseEnviron([]byte("HOSTNAME=laptop\x00"), false); e.pod != "" {
		t.Errorf("a host name became pod %q", e.pod)
	}
}

func TestProgramName(t *testing.T) {
	const cwd = "/srv/shop/src"
	for _, c := range []struct {
		exe, args, want string
	}{
		{"/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx", "nginx"},
		{"/usr/sbin/nginx", "nginx: worker process", "nginx"},
		{"/usr/bin/redis-server", "/usr/bin/redis-server|127.0.0.1:6379", "redis-server"},
		{"/memfd:agent", "agent", "agent"},
		{"/usr/bin/python3.11", "python3|-u|-W|ignore|/opt/pay/collector.py|--port|1", "collector"},
		{"/usr/bin/python3.11", "python3|-m|http.server|8000", "http.server"},
		{"/usr/bin/python3.11", "python3|-c|import x", "python"},
		{"/usr/bin/python3.11", "python3", "python"},
		{"/usr/bin/python3.11", "python3|/srv/pay/app.py", "pay/app"},
		{"/usr/bin/python3.11", "python3|manage.py|runserver", "shop/manage"},
		{"/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/gunicorn|app:app", "gunicorn"},
		{"/usr/bin/python3.11", "gunicorn: worker [pay]", "gunicorn"},
		{"/usr/bin/node", "node|--require|./x.js|--inspect=0|server/billing.js", "billing"},
		{"/usr/bin/node", "node|/srv/mail/bin/www", "mail/www"},
		{"/usr/bin/node", "node|-e|1", "node"},
		{"/usr/lib/jvm/java-17/bin/java", "java|-Xmx1g|-cp|a:b|com.acme.Billing|x", "Billing"},
		{"/usr/lib/jvm/java-17/bin/java", "java|-cp|a|com.acme.Main", "com.acme.Main"},
		{"/usr/lib/jvm/java-17/bin/java", "java|-jar|/opt/orders-1.4.2-SNAPSHOT.jar", "orders"},
		{"/usr/lib/jvm/java-17/bin/java", "java|-p|mods|-m|com.acme.web/com.acme.web.Start", "com.acme.web"},
		{"/usr/bin/ruby3.1", "puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", "puma"},
		{"/usr/sbin/php-fpm8.2", "php-fpm: pool www", "php-fpm"},
		{"/usr/bin/php8.2", "php|artisan|queue:work", "artisan"},
		{"/usr/bin/dotnet", "dotnet|/app/Orders.dll", "Orders"},
		{"/usr/bin/bash", "bash|/opt/backup.sh", "backup"},
		{"/usr/bin/bash", "-bash", "bash"},
		{"/usr/bin/bash", "bash|-lc|sleep 1", "bash"},
		{"/usr/bin/bash", "bash|/dev/fd/3", "bash"},
		{"/usr/bin/perl", "perl|-w|/usr/bin/exim-stat", "exim-stat"},
	} {
		if got := programName(c.exe, strings.Split(c.args, "|"), func() string { return cwd }); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.exe, c.args, got, c.want)
		}
	}
}

func TestInterpreter(t *testing.T) {
	for base, want := range map[string][2]string{
		"python3.11": {"python", "3.11"}, "python": {"python", ""}, "php-fpm8.2": {"php", "8.2"}, "php82": {"php", "8.2"},
		"ruby3.1": {"ruby", "3.1"}, "java": {"java", ""}, "nginx": {"", ""}, "pythonista": {"", ""}, "": {"", ""}, "123": {"", ""},
	} {
		if kind, version := interpreter(base); kind != want[0] || version != want[1] {
			t.Errorf("interpreter(%q) = %q %q, want %q", base, kind, version, want)
		}
	}
}

func TestParseMaps(t *testing.T) {
	line := func(files ...string) (out []byte) {
		for _, f := range files {
			out = append(out, "7f0000000000-7f0000001000 r-xp 00000000 fe:01 12345                      "+f+"\n"...)
		}
		return out
	}
	for _, c := range []struct {
		files []string
		want  mappings
	}{
		{[]string{"/usr/sbin/x", "/lib/libc.so.6"}, mappings{}},
		{[]string{"/usr/lib/jvm/j17/lib/server/libjvm.so"}, mappings{language: "java", jvm: "/usr/lib/jvm/j17/lib/server/libjvm.so"}},
		{[]string{"/lib/libpython3.11.so.1.0 (deleted)"}, mappings{language: "python", version: "3.11"}},
		{[]string{"/lib/libpython3.7m.so.1.0"}, mappings{language: "python", version: "3.7"}},
		{[]string{"/lib/libruby-3.1.so.3.1.2"}, mappings{language: "ruby", version: "3.1.2"}},
		{[]string{"/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so"}, mappings{language: "dotnet", version: "8.0.1"}},
		{[]string{"/app/libcoreclr.so"}, mappings{language: "dotnet"}},
		{[]string{"/usr/local/lib/php/extensions/no-debug-non-zts-20220829/opcache.so"}, mappings{language: "php", version: "8.2"}},
		{[]string{"/lib/libpython3.11.so", "/j/lib/server/libjvm.so"}, mappings{language: "java", jvm: "/j/lib/server/libjvm.so"}},
		{[]string{"/opt/libopentelemetry_trace.so"}, mappings{sdk: "opentelemetry (libopentelemetry_trace.so)"}},
	} {
		if got := parseMaps(line(c.files...)); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.files, got, c.want)
		}
	}
}

func TestParseSocketTables(t *testing.T) {
	ephemeral := [2]uint16{32768, 60999}
	for _, c := range []struct {
		network, line, want string
		ino                 uint64
		state               sockState
	}{
		{"tcp", "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0", "tcp 127.0.0.1:8080", 12345, sockListens},
		{"tcp", "   0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1", "", 0, sockOther},
		{"tcp", "   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1", "tcp [::]:80", 7, sockListens},
		{"udp", "  12: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2", "udp 0.0.0.0:53", 9, sockListens},
		{"udp", "  12: 00000000:C000 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2", "", 0, sockOther},
		{"udp", "  12: 0100007F:0035 0100007F:1000 01 00000000:00000000 00:00000000 00000000     0        0 9 2", "", 0, sockOther},
		{"tcp", "garbage", "", 0, sockBad},
		{"tcp", "0: zz:zz 0:0 0A 0 0 0 0 0 5", "", 0, sockBad},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 4242 /run/my app.sock", "unix /run/my app.sock", 4242, sockListens},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 4243 @abstract", "unix @abstract", 4243, sockListens},
		{"unix", "0000000000000000: 00000002 00000000 00010000 0001 01 4243", "", 0, sockBad},
		{"unix", "0000000000000000: 00000003 00000000 00000000 0001 03 4244 /run/x", "", 0, sockOther},
	} {
		var ino uint64
		var l listening
		var state sockState
		if c.network == "unix" {
			ino, l, state = parseUnixLine([]byte(c.line))
		} else {
			ino, l, state = parseInetLine([]byte(c.line), c.network, ephemeral)
		}
		if state != c.state || ino != c.ino || (state == sockListens && l.String() != c.want) {
			t.Errorf("%q: %d %v %d, want %d %s %d", c.line, ino, l, state, c.ino, c.want, c.state)
		}
	}
}

// Whatever a process, a container or a file says, parsers neither crash nor let
// anything through that a terminal would obey.
func FuzzParsers(f *testing.F) {
	f.Add([]byte("42 (a) S 1) (b) " + statRest("R", "1", "0", "1", "777", "0")))
	f.Add([]byte("0::/kubepods.slice/kubepods-pod1.slice/crio-" + id64 + ".scope\n"))
	f.Add([]byte("OTEL_RESOURCE_ATTRIBUTES=a=b,c\x00OTEL_SERVICE_NAME=x\x1b[2J"))
	f.Add([]byte("python3\x00-m\x00http.server\x00"))
	f.Add([]byte("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1"))
	f.Add([]byte("0000000000000000: 00000002 00000000 00010000 0001 01 4242 /run/x.sock"))
	f.Add([]byte("7f00-7f01 r-xp 00000000 fe:01 12345 /usr/lib/jvm/lib/server/libjvm.so\n"))
	f.Add([]byte("Uid:\t1\t2\nNSpid:\t3\n"))
	f.Add([]byte("#define NODE_MAJOR_VERSION 20\nJAVA_VERSION=\"17\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, ok := parseStat(data, 4096); ok && (s.pid <= 0 || !bytes.Contains(data, s.comm)) {
			t.Fatalf("stat %+v", s)
		}
		parseStatus(data)
		p := parseCgroup(string(data))
		if p.unit != "" && !strings.HasSuffix(p.unit, ".service") {
			t.Fatalf("unit %q", p.unit)
		}
		e := parseEnviron(data, false)
		parseEnviron(data, true)
		for key, value := range e.attributes {
			if core.Clean(key, core.MaxName) != key || core.Clean(value, core.MaxRoute) != value {
				t.Fatalf("attribute %q=%q", key, value)
			}
		}
		argv := splitArguments(data)
		if line := joinArguments(argv); !utf8.ValidString(line) || len(line) > core.MaxCmdline {
			t.Fatalf("command line %q", line)
		}
		for _, exe := range []string{"/usr/bin/python3", "/usr/bin/java", "/usr/bin/node", "/bin/bash", "/bin/php", "/bin/dotnet", string(data)} {
			programName(exe, argv, func() string { return string(data) })
		}
		agentOfArguments(argv)
		parseMaps(data)
		parseInetLine(data, "tcp", [2]uint16{1, 2})
		parseInetLine(data, "udp", [2]uint16{1, 2})
		parseUnixLine(data)
		socketInode(data)
		releaseVersion(data)
		headerVersion(data)
		workload(string(data))
		_ = CheckRule(string(data))
	})
}

// Executables are files that anybody may write.
func FuzzAnalyse(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = analyse(bytes.NewReader(data))
	})
}
