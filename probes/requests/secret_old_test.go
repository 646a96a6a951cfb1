package requests

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"vitals/probes/kern"
	"vitals/probes/kern/kerntest"
)

// Kernels before 5.17 have no bpf_loop: what is there instead satisfies the
// verifier, too. The programs are told that this kernel has none either.
func TestTLSLoadsWithoutLoop(t *testing.T) {
	kerntest.NeedRoot(t)
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	old := kernel.Copy()
	var helpers *btf.Enum
	if err := old.TypeByName("bpf_func_id", &helpers); err != nil {
		t.Fatal(err)
	}
	had := len(helpers.Values)
	helpers.Values = slices.DeleteFunc(helpers.Values, func(v btf.EnumValue) bool { return v.Name == "BPF_FUNC_loop" })
	if len(helpers.Values) == had {
		t.Log("this kernel has none")
	}
	spec, err := loadSecret()
	if err != nil {
		t.Fatal(err)
	}
	kern.PrepareUprobes(spec)
	var objs secretObjects
	if err := spec.LoadAndAssign(&objs, &ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: old}}); err != nil {
		t.Fatalf("%+v", err)
	}
	defer objs.Close()
	for name, p := range map[string]*ebpf.Program{"place": objs.Place, "sweep": objs.Sweep} {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		code, err := info.Instructions()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions() // the limit is a million, and older verifiers need more
		if t.Logf("%s: %d instructions, %d looked at", name, len(code), n); ok && n > 400_000 {
			t.Errorf("%s: too much for the verifier", name)
		}
		for _, i := range code {
			if i.IsBuiltinCall() && i.Constant == 181 {
				t.Errorf("%s calls bpf_loop", name)
			}
		}
	}
}
