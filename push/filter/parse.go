package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vitals/core"
)

// Parse reads a selector, as Prometheus writes them: a family, with * and ? if
// wanted, and matchers of labels in braces. Either may be missing.
//
//	http_*
//	vitals_calls_total{operation="push"}
//	{service_name=~"shop|cart", http_route!="/healthz"}
//	{__name__=~"process_.+"}
func Parse(selector string) (Rule, error) {
	r := Rule{}
	name, rest, braces := strings.Cut(strings.TrimSpace(selector), "{")
	name = strings.TrimSpace(name)
	if name != "" {
		if strings.ContainsFunc(name, notInName) {
			return r, fmt.Errorf("%s is not the name of a family: letters, digits, _ and :, and * ? for any", quoted(name))
		}
		r.Family = &Matcher{Op: Glob, Value: name}
	}
	if !braces {
		if name == "" {
			return r, errors.New(`empty selector: write for example http_* or {service_name="shop"}`)
		}
		return r, nil
	}
	for rest = strings.TrimSpace(rest); !strings.HasPrefix(rest, "}"); {
		var err error
		if rest, err = r.matcher(rest); err != nil {
			return Rule{}, err
		}
	}
	if rest = strings.TrimSpace(rest[1:]); rest != "" {
		return Rule{}, fmt.Errorf("%s stands behind the closing brace", quoted(rest))
	}
	if r.Family == nil && len(r.Labels) == 0 {
		return Rule{}, errors.New(`{} chooses everything: write for example http_* or {service_name="shop"}`)
	}
	return r, nil
}

// matcher reads `label="value"` and the comma behind it.
func (r *Rule) matcher(s string) (rest string, err error) {
	end := strings.IndexAny(s, "=!~}")
	if end < 0 || s[end] == '}' {
		return "", fmt.Errorf(`%s is not a matcher: write for example {service_name="shop"}`, quoted(s))
	}
	label := strings.TrimSpace(s[:end])
	if label == "" || strings.ContainsFunc(label, notInLabel) || label[0] >= '0' && label[0] <= '9' {
		return "", fmt.Errorf("%s is not the name of a label: letters, digits and _", quoted(label))
	}
	op, s, err := operator(s[end:])
	if err != nil {
		return "", fmt.Errorf("label %s: %w", label, err)
	}
	text, err := strconv.QuotedPrefix(s)
	if err != nil || text[0] == '\'' {
		return "", fmt.Errorf(`label %s: the value needs quotes: write for example %s="shop"`, label, label)
	}
	value, err := strconv.Unquote(text)
	if err != nil {
		return "", fmt.Errorf("label %s: %s cannot be read", label, quoted(text))
	}
	rest = strings.TrimSpace(s[len(text):])
	if after, comma := strings.CutPrefix(rest, ","); comma {
		rest = strings.TrimSpace(after)
	} else if !strings.HasPrefix(rest, "}") {
		return "", fmt.Errorf("label %s: a comma or a closing brace must follow", label)
	}
	m := Matcher{Op: op, Value: value}
	if _, err := m.compile(); err != nil {
		return "", fmt.Errorf("label %s: %s", label, core.Clean(err.Error(), 200))
	}
	if label == "__name__" {
		if r.Family != nil {
			return "", errors.New("the family is named twice: once before the brace or once as __name__")
		}
		r.Family = &m
		return rest, nil
	}
	if _, twice := r.Labels[label]; twice {
		return "", fmt.Errorf("label %s is there twice: use one regular expression", label)
	}
	if r.Labels == nil {
		r.Labels = map[string]Matcher{}
	}
	r.Labels[label] = m
	return rest, nil
}

func operator(s string) (op Op, rest string, err error) {
	for _, o := range []struct {
		text string
		op   Op
	}{{"=~", Regexp}, {"!~", NotRegexp}, {"!=", NotEqual}, {"=", Equal}} {
		if rest, ok := strings.CutPrefix(s, o.text); ok {
			return o.op, strings.TrimSpace(rest), nil
		}
	}
	return 0, "", errors.New("the operators are = != =~ and !~")
}

func notInLabel(c rune) bool {
	return !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
}

func notInName(c rune) bool { return notInLabel(c) && c != ':' && c != '*' && c != '?' }

func quoted(s string) string { return strconv.Quote(core.Clean(s, 80)) }

// Of compiles selectors of what to keep and what to drop.
func Of(keep, drop []string) (*Filter, error) {
	rules := make([]Rule, 0, len(keep)+len(drop))
	for i, s := range append(append([]string{}, keep...), drop...) {
		r, err := Parse(s)
		list := "keep"
		if r.Drop = i >= len(keep); r.Drop {
			list = "drop"
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", list, quoted(s), err)
		}
		rules = append(rules, r)
	}
	return New(rules...)
}
