package supervisor

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"vitals/core"
)

// Forks, execs, ends, reused pids and choices at every scope, at random, with a
// kernel that copies exceptions at fork and drops them at exec: whenever things
// settle, the unit observes exactly what the toggles say.
func TestI59_UsersFollowFromTheTable(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p, q := &plant{}, &plant{}
			off := q.spec("network")
			off.Default = false
			inLab(t, Config{Specs: []core.Spec{p.spec("requests"), off}}, func(l *lab) {
				w := &world{lab: l, rng: rand.New(rand.NewPCG(seed, 1)), kernel: map[string]*plant{"requests": p, "network": q}}
				for range 300 {
					w.step()
					if w.rng.IntN(3) == 0 {
						synctest.Wait()
						w.check(l.t)
					}
				}
			})
		})
	}
}

type world struct {
	*lab
	rng    *rand.Rand
	kernel map[string]*plant
	live   []*core.Process
	births uint64
}

func (w *world) step() {
	services, groups := []string{"", "web", "db"}, []string{"", "front", "back"}
	pick := func(of []string) string { return of[w.rng.IntN(len(of))] }
	kind := pick([]string{"requests", "network"})
	to := []core.Choice{core.On, core.Off, core.Auto}[w.rng.IntN(3)]
	var some *core.Process
	if len(w.live) > 0 {
		some = w.live[w.rng.IntN(len(w.live))]
	}
	switch n := w.rng.IntN(20); {
	case n < 5 || some == nil:
		w.births++
		c := &core.Process{ProcKey: core.ProcKey{PID: int32(w.rng.IntN(40) + 2), Birth: w.births},
			Service: pick(services), Group: pick(groups), Exe: "/a", PPID: 1}
		if w.rng.IntN(8) == 0 {
			c.Skip = "kernel thread"
		}
		if some != nil && some.PID != c.PID {
			c.PPID = some.PID
			for _, p := range w.kernel {
				p.fork(some.ProcKey, c.ProcKey)
			}
		}
		w.live = append(w.without(c.PID), c) // the end of a former owner may be missed
		w.ProcessUp(c)
	case n < 8:
		w.live = w.without(some.PID)
		w.ProcessDown(some.ProcKey, core.Exit{}, time.Now())
	case n < 11:
		c := *some
		c.Service, c.Group = pick(services), pick(groups)
		if w.rng.IntN(2) == 0 {
			c.Exe += "x"
			for _, p := range w.kernel {
				p.exec(c.ProcKey)
			}
		}
		w.live = append(w.without(c.PID), &c)
		w.ProcessChanged(&c)
	case n < 12:
		w.Submit(core.Intent{Op: core.IntentUndo})
	case n < 13:
		w.Submit(core.Intent{Op: core.IntentDetachAll})
	case n < 15:
		w.Submit(core.Intent{Op: core.IntentResume})
	default:
		k := core.ToggleKey{Kind: kind}
		switch w.rng.IntN(4) {
		case 0:
			k.Scope = core.ScopeGlobal
		case 1:
			k.Scope, k.Target = core.ScopeService, pick(services[1:])
		case 2:
			k.Scope, k.Target = core.ScopeGroup, pick(groups[1:])
		case 3:
			k.Scope, k.Proc = core.ScopeProcess, some.ProcKey
		}
		w.Submit(core.Intent{Op: core.IntentToggle, Key: k, Choice: to})
	}
}

func (w *world) without(pid int32) []*core.Process {
	var rest []*core.Process
	for _, p := range w.live {
		if p.PID != pid {
			rest = append(rest, p)
		}
	}
	return rest
}

func (w *world) check(t *testing.T) {
	t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	for kind, p := range w.kernel {
		users := 0
		for _, c := range w.live {
			want := w.witness.toggles.Decide(kind, c).On
			if want {
				users++
			}
			if got := p.attached() == 1 && p.unit().observes(c.ProcKey); got != want {
				t.Fatalf("%s observes process %v: %v, want %v (%+v)", kind, c.ProcKey, got, want, c)
			}
		}
		row := w.row("instrumentation/" + kind)
		if row.Processes != users || w.procs.recounted(kind) != users { // I-59
			t.Fatalf("%s: row says %d, table says %d, truth is %d", kind, row.Processes, w.procs.recounted(kind), users)
		}
		if u := p.unit(); u != nil && p.attached() == 1 && len(u.exc) > len(w.live)+5 {
			t.Fatalf("%d exceptions for %d processes", len(u.exc), len(w.live))
		}
	}
}

func (p *plant) fork(parent, child core.ProcKey) {
	if u := p.unit(); u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		if on, ok := u.exc[parent]; ok {
			u.exc[child] = on
		}
	}
}

func (p *plant) exec(k core.ProcKey) {
	if u := p.unit(); u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.exc, k)
	}
}
