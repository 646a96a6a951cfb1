package discover

import (
	"strings"
	"unicode/utf8"
)

// place is where a process belongs to, as its control groups tell.
type place struct {
	container string // id, 12 hexadecimal digits or more; the name for lxc
	podUID    string
	unit      string // systemd *.service
}

// parseCgroup reads /proc/PID/cgroup, versions 1, 2 and both. The innermost
// container counts (a container may run containers).
func parseCgroup(text string) (p place) {
	var fallback place
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if !ok {
			continue
		}
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || !utf8.ValidString(path) {
			continue
		}
		found := parseCgroupPath(path)
		if found == (place{}) {
			continue
		}
		// Version 2 ("0::/...") and systemd's own hierarchy are the ones that
		// container engines and systemd both keep; others may lag behind.
		if controllers == "" || controllers == "name=systemd" {
			if p.container == "" {
				p.container, p.podUID = found.container, found.podUID
			}
			if p.unit == "" {
				p.unit = found.unit
			}
		} else if fallback.container == "" {
			fallback = found
		}
	}
	if p.container == "" {
		p.container, p.podUID = fallback.container, fallback.podUID
	}
	if p.unit == "" {
		p.unit = fallback.unit
	}
	return p
}

func parseCgroupPath(path string) (p place) {
	segments := strings.Split(path, "/")
	session := false // a user's own manager: what it starts is no unit of the machine
	for i, segment := range segments {
		if id := containerID(segments, i); id != "" {
			// What is inside a container is named by its own systemd, if it has one.
			p.container, p.unit, session = id, "", false
			if before, _, ok := strings.Cut(segment, ":"); ok && podUID(before) != "" {
				p.podUID = podUID(before)
			}
			continue
		}
		if uid := podUID(segment); uid != "" {
			p.podUID = uid
			continue
		}
		if strings.HasPrefix(segment, "user@") {
			session, p.unit = true, ""
		}
		if strings.HasSuffix(segment, ".service") && segment != ".service" && !session {
			p.unit = segment
		}
	}
	return p
}

// enginePrefixes are how container engines name their scopes: docker-ID.scope,
// cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope.
var enginePrefixes = []string{"docker-", "cri-containerd-", "containerd-", "crio-", "libpod-", "podman-", "nerdctl-"}

func containerID(segments []string, i int) string {
	s := segments[i]
	s = strings.TrimSuffix(strings.TrimSuffix(s, ".scope"), ".service")
	// containerd in Kubernetes without systemd: "kubepods-...slice:cri-containerd:ID"
	if j := strings.LastIndexByte(s, ':'); j >= 0 {
		s = s[j+1:]
	}
	for _, prefix := range enginePrefixes {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			if strings.HasPrefix(rest, "conmon-") { // the monitor is outside
				return ""
			}
			s = rest
			break
		}
	}
	if isHex(s) && len(s) == 64 {
		return s
	}
	// AWS Fargate: /ecs/TASK/TASK-NUMBER
	if a, b, ok := strings.Cut(s, "-"); ok && i >= 2 && segments[i-2] == "ecs" && len(a) == 32 && isHex(a) && isDigits(b) {
		return s
	}
	// lxc: /lxc.payload.NAME, /lxc/NAME
	if name, ok := strings.CutPrefix(segments[i], "lxc.payload."); ok {
		return name
	}
	if i > 0 && segments[i-1] == "lxc" && i <= 2 {
		return segments[i]
	}
	// machined: machine-NAME.scope, with its escapes
	if name, ok := strings.CutPrefix(s, "machine-"); ok && strings.HasSuffix(segments[i], ".scope") {
		return strings.ReplaceAll(name, `\x2d`, "-")
	}
	return ""
}

// podUID finds "pod<uid>" and "kubepods-burstable-pod<uid>.slice", where systemd
// writes the dashes of the uid as underscores.
func podUID(segment string) string {
	s, ok := strings.CutSuffix(segment, ".slice")
	if ok {
		if j := strings.LastIndex(s, "-pod"); j >= 0 {
			s = s[j+1:]
		}
	}
	s, ok = strings.CutPrefix(s, "pod")
	if !ok {
		return ""
	}
	s = strings.ReplaceAll(s, "_", "-")
	if len(s) == 32 && isHex(s) { // static pods: a hash
		return s
	}
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && isHex(strings.ReplaceAll(s, "-", "")) {
		return s
	}
	return ""
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// workload turns the name of a pod into that of the deployment that made it
// ("web-7d4b9c6d5f-x2x9k" is web), so that its pods are one service. Other
// names are returned as they are.
func workload(pod string) string {
	i := strings.LastIndexByte(pod, '-')
	if i <= 0 || len(pod)-i-1 != 5 || !isSafeEncoded(pod[i+1:]) {
		return pod
	}
	j := strings.LastIndexByte(pod[:i], '-')
	if j <= 0 || i-j-1 < 6 || i-j-1 > 10 || !isSafeEncoded(pod[j+1:i]) {
		return pod
	}
	return pod[:j]
}

// isSafeEncoded reports whether s is written in the alphabet of Kubernetes'
// generated names, which has no vowels.
func isSafeEncoded(s string) bool {
	for i := 0; i < len(s); i++ {
		if !strings.ContainsRune("bcdfghjklmnpqrstvwxz2456789", rune(s[i])) {
			return false
		}
	}
	return true
}
