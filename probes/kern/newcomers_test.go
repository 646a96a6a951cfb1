package kern

import (
	"testing"

	"vitals/core"
)

func TestNewcomersAreToldOrCounted(t *testing.T) {
	var n Newcomers
	n.Came(&core.Process{}) // nobody listens
	l := n.Listen()
	p := &core.Process{ProcKey: core.ProcKey{PID: 7}}
	n.Came(p)
	n.Went(core.ProcKey{PID: 8})
	<-l.Wake()
	came, went, all := l.Take()
	if len(came) != 1 || came[0] != p || len(went) != 1 || all {
		t.Errorf("came %v, went %v, all %v", came, went, all)
	}
	for range maxNewcomers + 1 {
		n.Came(p)
	}
	if came, _, all := l.Take(); !all || len(came) != 0 {
		t.Errorf("%d came, all %v: too many must say so", len(came), all)
	}
	l.Close()
	n.Came(p)
	if came, _, _ := l.Take(); len(came) != 0 {
		t.Error("told after the end")
	}
	var none *Newcomers
	none.Came(p)
	none.Listen().Close()
}
