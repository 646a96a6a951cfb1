package integrations

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vitals/core"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/servertest"
)

// A server in another network namespace is asked there, and is not mistaken for
// one that has the same address here.
func TestAServerInAnotherNetworkNamespaceIsAskedThere(t *testing.T) {
	servertest.NeedRoot(t)
	redis := servertest.Need(t, "redis-server")
	dir := servertest.Dir(t, "")
	unshare := servertest.Need(t, "unshare")
	s := servertest.Start(t, "", unshare, "-n", "sh", "-c", "ip link set lo up && exec "+redis+" --port 7 --bind 127.0.0.1 --save '' --dir "+dir)
	s.Await(func() error {
		if !strings.Contains(s.Log(), "Ready to accept connections") {
			return fmt.Errorf("it does not serve yet")
		}
		return nil
	})
	i, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	kinds := Kinds()
	kinds = slices.DeleteFunc(kinds, func(k kit.Kind) bool { return k.Name != "redis" })
	w := newWorld(t, func(c *Config) { c.Limits = Limits{Probe: patience} }, kinds...)
	p := proc(int32(s.PID()), "redis-server", "tcp 127.0.0.1:7")
	p.NetNS = i.Sys().(*syscall.Stat_t).Ino
	w.m.ProcessUp(p)
	r := w.untilRuns(fmt.Sprintf("integration/redis/127.0.0.1:7@netns-%d", p.NetNS))
	if r.Series < 50 || !strings.Contains(r.Why, "executable redis-server") {
		t.Errorf("%+v", r)
	}
	if w.row("integration/redis/127.0.0.1:7").ID != "" || core.Clean(r.Instance, core.MaxName) != r.Instance {
		t.Error("it is taken for one here")
	}
}
