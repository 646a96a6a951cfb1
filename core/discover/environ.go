package discover

import (
	"bytes"
	"net/url"
	"strings"

	"vitals/core"
)

// Attribute names of the OpenTelemetry resource conventions.
const (
	attrService       = "service.name"
	attrContainerName = "container.name"
	attrPodUID        = "k8s.pod.uid"
	attrPodName       = "k8s.pod.name"
	attrNamespace     = "k8s.namespace.name"
)

const maxAttributes = 64

// environment is what we want of a process' environment; nothing else is kept.
type environment struct {
	service    string // OTEL_SERVICE_NAME, else service.name
	attributes map[string]string
	malformed  int    // pairs of OTEL_RESOURCE_ATTRIBUTES that could not be read
	pod        string // name, when Kubernetes set it
	namespace  string
	sdk        string // an OpenTelemetry agent that the environment loads
}

// parseEnviron reads /proc/PID/environ. A variable that the buffer cut in two is
// dropped when truncated is set. The first of equal names counts, as in getenv.
func parseEnviron(text []byte, truncated bool) (e environment) {
	if truncated {
		text = text[:bytes.LastIndexByte(text, 0)+1]
	}
	var resource, host, pod, disabled string
	var inKubernetes bool
	var seen [9]bool
	first := func(i int, into *string, value []byte) {
		if !seen[i] {
			seen[i] = true
			*into = string(value)
		}
	}
	for len(text) > 0 {
		entry := text
		if i := bytes.IndexByte(text, 0); i >= 0 {
			entry, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		name, value, ok := bytes.Cut(entry, []byte{'='})
		if !ok {
			continue
		}
		switch string(name) {
		case "OTEL_SERVICE_NAME":
			first(0, &e.service, value)
		case "OTEL_RESOURCE_ATTRIBUTES":
			first(1, &resource, value)
		case "HOSTNAME":
			first(2, &host, value)
		case "POD_NAME":
			first(3, &pod, value)
		case "POD_NAMESPACE":
			first(4, &e.namespace, value)
		case "OTEL_SDK_DISABLED":
			first(5, &disabled, value)
		case "KUBERNETES_SERVICE_HOST":
			inKubernetes = true
		default:
			if e.sdk == "" {
				e.sdk = agentOfVariable(string(name), value)
			}
		}
	}
	e.attributes, e.malformed = parseAttributes(resource)
	if e.service = core.Clean(e.service, core.MaxName); e.service == "" {
		e.service = e.attributes[attrService]
	}
	if pod == "" && inKubernetes && host != "localhost" {
		pod = host
	}
	e.pod, e.namespace = core.Clean(pod, core.MaxName), core.Clean(e.namespace, core.MaxName)
	if strings.EqualFold(disabled, "true") {
		e.sdk = ""
	}
	return e
}

// agentOfVariable recognises the variables by which OpenTelemetry agents get
// into a process. OTEL_* alone says nothing: they are set for whole machines.
func agentOfVariable(name string, value []byte) string {
	has := func(s string) bool { return bytes.Contains(value, []byte(s)) }
	switch name {
	case "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS":
		if has("opentelemetry-javaagent") {
			return "opentelemetry-java agent"
		}
	case "NODE_OPTIONS":
		if has("@opentelemetry/") || has("opentelemetry") {
			return "opentelemetry-js"
		}
	case "PYTHONPATH":
		if has("opentelemetry/instrumentation/auto_instrumentation") {
			return "opentelemetry-python"
		}
	case "OTEL_DOTNET_AUTO_HOME":
		if len(value) > 0 {
			return "opentelemetry-dotnet"
		}
	case "CORECLR_PROFILER":
		if has("918728DD-259F-4A6A-AC2B-B85E1B658318") {
			return "opentelemetry-dotnet"
		}
	}
	return ""
}

// agentOfArguments recognises an agent on the command line.
func agentOfArguments(argv []string) string {
	for i, arg := range argv {
		switch {
		case strings.HasPrefix(arg, "-javaagent:") && strings.Contains(arg, "opentelemetry"):
			return "opentelemetry-java agent"
		case baseName(arg) == "opentelemetry-instrument":
			return "opentelemetry-python"
		case strings.Contains(arg, "@opentelemetry/") && i > 0:
			return "opentelemetry-js"
		}
	}
	return ""
}

// parseAttributes reads OTEL_RESOURCE_ATTRIBUTES: key=value pairs separated by
// commas, percent-encoded. Pairs that are malformed are skipped and counted; of
// equal keys the first counts.
func parseAttributes(text string) (attrs map[string]string, malformed int) {
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, err := url.PathUnescape(strings.TrimSpace(value))
		key = core.Clean(key, core.MaxName)
		if !ok || keyErr != nil || err != nil || key == "" || len(attrs) >= maxAttributes {
			malformed++
			continue
		}
		if _, known := attrs[key]; known {
			continue
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[key] = core.Clean(value, core.MaxRoute)
	}
	return attrs, malformed
}
