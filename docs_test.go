package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vitals/core/config"
)

// Every configuration in the documentation is one that is taken.
func TestDocumentedConfigurationsAreRight(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := filepath.Glob("docs/integrations/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	checked := 0
	for _, page := range append(pages, kinds...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range block.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(found[1], "scrape_configs:") || strings.HasPrefix(found[1], "tls_server_config:") {
				continue // of Prometheus
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(found[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(config.Options{File: file, Checks: checks(nil)}); err != nil {
				t.Errorf("%s: %s", page, strings.ReplaceAll(err.Error(), file, ""))
			}
			checked++
		}
	}
	if checked < 8 {
		t.Errorf("%d configurations were found in the documentation", checked)
	}
}
