package expose_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"vitals/core/expose"
	"vitals/probes/network"
)

// docs/metrics.md follows from the descriptions; -update writes it.
func TestDocsFollowFromTheDescriptions(t *testing.T) {
	const file = "../../docs/metrics.md"
	docs := expose.Docs(network.Descs())
	for i := range docs[1:] {
		if docs[i].Name == docs[i+1].Name {
			t.Errorf("two metrics are called %s", docs[i].Name)
		}
	}
	var want bytes.Buffer
	if err := expose.WriteDocs(&want, docs); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/metrics.md is out of date: go test ./core/expose -update")
	}
}
