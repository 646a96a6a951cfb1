package tls

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// site is one place for a probe.
type site struct {
	offset uint64 // in the file
	kind   siteKind
	// Guarded sites are conditional jumps of a prologue that makes room on the
	// stack: when the jump is taken, the function begins again.
	guarded bool
}

type siteKind uint8

const (
	atEntry  siteKind = iota // arguments are where the calling convention has them
	atReturn                 // the result is in its register
	onReturn                 // at the entry, for a return probe
)

// plan is where a function is probed.
type plan struct {
	function
	sites []site
	// fast says that the kernel emulates every instruction at a site; others are
	// stepped over, which costs a second trap.
	fast bool
}

// inst is a decoded instruction with its address in the function.
type inst struct {
	x86asm.Inst
	at int
}

var (
	errNoSite      = errors.New("no instruction of its beginning can be probed safely")
	errUndecodable = errors.New("its code cannot be decoded, so no probe is set")
)

// planC finds the sites of a C function with nargs arguments whose result
// matters when ret is set.
func (i *image) planC(f function, nargs int, ret bool) (plan, error) {
	base, err := i.offset(f.addr)
	if err != nil {
		return plan{}, err
	}
	if i.elf.Machine != elf.EM_X86_64 {
		p := plan{function: f, sites: []site{{offset: base}}}
		if ret {
			p.sites = append(p.sites, site{offset: base, kind: onReturn})
		}
		return p, nil
	}
	code, err := i.code(f)
	if err != nil {
		return plan{}, err
	}
	insts := decode(code)
	if len(insts) == 0 {
		return plan{}, fmt.Errorf("%s: %w", f.name, errUndecodable)
	}
	entry, emulated := entrySite(insts, cArguments(nargs), 0)
	p := plan{function: f, fast: emulated, sites: []site{{offset: base + uint64(entry)}}}
	if !ret {
		return p, nil
	}
	if exits, ok := exitSites(insts, len(code)); ok && uint64(len(code)) == f.size {
		for _, at := range exits {
			p.sites = append(p.sites, site{offset: base + uint64(at), kind: atReturn})
		}
		return p, nil
	}
	p.fast = false
	p.sites = append(p.sites, site{offset: base, kind: onReturn})
	return p, nil
}

// planGo finds the sites of a Go function of the register calling convention.
// Return probes are out of the question there: the runtime moves stacks and
// checks return addresses. What is left are the returns themselves.
func (i *image) planGo(f function, ret bool) (plan, error) {
	base, err := i.offset(f.addr)
	if err != nil {
		return plan{}, err
	}
	code, err := i.code(f)
	if err != nil {
		return plan{}, err
	}
	if uint64(len(code)) < f.size {
		return plan{}, fmt.Errorf("%s: longer than %d KiB", f.name, maxFunction>>10)
	}
	if i.elf.Machine == elf.EM_AARCH64 {
		return planGoARM(f, base, code, ret), nil
	}
	insts := decode(code)
	if len(insts) == 0 || !complete(insts, len(code)) {
		return plan{}, fmt.Errorf("%s: %w", f.name, errUndecodable)
	}
	entry, emulated := entrySite(insts, goArguments(), 1)
	if !emulated && backInto(insts, entry, 0) {
		return plan{}, fmt.Errorf("%s: %w", f.name, errNoSite)
	}
	guarded := false
	for k := range insts {
		if insts[k].at == entry {
			guarded = conditional(insts[k].Op)
		}
	}
	p := plan{function: f, fast: emulated && !ret, sites: []site{{offset: base + uint64(entry), guarded: guarded}}}
	if !ret {
		return p, nil
	}
	for k := range insts {
		if insts[k].Op == x86asm.RET {
			p.sites = append(p.sites, site{offset: base + uint64(insts[k].at), kind: atReturn})
		}
	}
	if len(p.sites) == 1 {
		return plan{}, fmt.Errorf("%s: no return was found", f.name)
	}
	return p, nil
}

func planGoARM(f function, base uint64, code []byte, ret bool) plan {
	p := plan{function: f, sites: []site{{offset: base}}}
	for at := 0; ret && at+4 <= len(code); at += 4 {
		if binary.LittleEndian.Uint32(code[at:]) == 0xd65f03c0 { // ret
			p.sites = append(p.sites, site{offset: base + uint64(at), kind: atReturn})
		}
	}
	return p
}

// decode decodes instructions one after the other, as far as it goes.
func decode(code []byte) []inst {
	out := make([]inst, 0, len(code)/4+8) // an instruction has four bytes or more on the average
	for at := 0; at < len(code); {
		in, err := x86asm.Decode(code[at:], 64)
		n := in.Len
		if err != nil || n == 0 || in.Op == 0 {
			// What x86asm does not know is undecodable, but for one: a hint that is a
			// nop where it is not understood.
			if n = endbr(code[at:]); n == 0 {
				return out
			}
			in = x86asm.Inst{Op: x86asm.NOP, Len: n}
		}
		out = append(out, inst{in, at})
		at += n
	}
	return out
}

// endbr gives the length of endbr64, which marks the targets of indirect jumps.
func endbr(b []byte) int {
	if len(b) >= 4 && b[0] == 0xf3 && b[1] == 0x0f && b[2] == 0x1e && b[3] == 0xfa {
		return 4
	}
	return 0
}

// complete reports whether the decoding reached the end of the code.
func complete(insts []inst, size int) bool {
	last := insts[len(insts)-1]
	return last.at+last.Len >= size
}

// entrySite finds the first instruction that the kernel emulates, up to which no
// argument has changed and no path has branched off; else the first one of all.
// Jumps back to addresses below first do not matter.
func entrySite(insts []inst, args map[x86asm.Reg]bool, first int) (at int, emulated bool) {
	for k := range insts {
		in := &insts[k]
		if emulable(in) && !backInto(insts, in.at, first) {
			return in.at, true
		}
		if branches(in.Op) || writesAny(in, args) {
			break
		}
	}
	return insts[0].at, false
}

// exitSites finds, for every return of the function, an instruction that the
// kernel emulates, behind which the result does not change and into whose way to
// the return nothing jumps. ok is false when a return has none.
func exitSites(insts []inst, size int) (at []int, ok bool) {
	if !complete(insts, size) {
		return nil, false
	}
	targets := map[int]bool{}
	for k := range insts {
		if to, is := target(&insts[k]); is {
			if to < 0 || to >= size {
				if insts[k].Op == x86asm.JMP {
					return nil, false // the function ends in another one
				}
				continue
			}
			targets[to] = true
		} else if insts[k].Op == x86asm.JMP {
			return nil, false // through a table or a register
		}
	}
	for k := range insts {
		if insts[k].Op != x86asm.RET {
			continue
		}
		s, found := exitSite(insts, k, targets)
		if !found {
			return nil, false
		}
		at = append(at, s)
	}
	return at, len(at) > 0
}

func exitSite(insts []inst, ret int, targets map[int]bool) (at int, found bool) {
	result := map[x86asm.Reg]bool{x86asm.RAX: true}
	for k := ret; k > 0; k-- {
		if targets[insts[k].at] {
			return 0, false
		}
		before := &insts[k-1]
		if conditional(before.Op) {
			return before.at, true
		}
		if before.Op == x86asm.CALL || branches(before.Op) || writesAny(before, result) {
			return 0, false
		}
	}
	return 0, false
}

// emulable reports whether the kernel emulates an instruction under a probe:
// pushes of registers and short jumps on a condition. (arch/x86/kernel/uprobes.c:
// push_setup_xol_ops, branch_setup_xol_ops.)
func emulable(in *inst) bool {
	if in.Op == x86asm.PUSH {
		_, reg := in.Args[0].(x86asm.Reg)
		return reg && in.Len <= 2
	}
	return conditional(in.Op)
}

func conditional(op x86asm.Op) bool {
	switch op {
	case x86asm.JA, x86asm.JAE, x86asm.JB, x86asm.JBE, x86asm.JE, x86asm.JG, x86asm.JGE, x86asm.JL, x86asm.JLE,
		x86asm.JNE, x86asm.JNO, x86asm.JNP, x86asm.JNS, x86asm.JO, x86asm.JP, x86asm.JS:
		return true
	}
	return false
}

func branches(op x86asm.Op) bool {
	switch op {
	case x86asm.JMP, x86asm.CALL, x86asm.RET, x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE, x86asm.JCXZ, x86asm.JECXZ, x86asm.JRCXZ:
		return true
	}
	return conditional(op)
}

// target is where a direct jump goes, relative to the function.
func target(in *inst) (int, bool) {
	if in.Op == x86asm.CALL || !branches(in.Op) {
		return 0, false
	}
	rel, ok := in.Args[0].(x86asm.Rel)
	return in.at + in.Len + int(rel), ok
}

// backInto reports whether a jump of the function leads to between first and at:
// the site would be passed twice. Go functions may jump to their very start, to
// begin anew with more stack, see site.guarded.
func backInto(insts []inst, at, first int) bool {
	for k := range insts {
		if to, ok := target(&insts[k]); ok && to >= first && to <= at {
			return true
		}
	}
	return false
}

func cArguments(n int) map[x86asm.Reg]bool {
	regs := []x86asm.Reg{x86asm.RDI, x86asm.RSI, x86asm.RDX, x86asm.RCX}
	out := map[x86asm.Reg]bool{}
	for _, r := range regs[:min(n, len(regs))] {
		out[r] = true
	}
	return out
}

// goArguments are the registers of a method with a slice, and the goroutine's.
func goArguments() map[x86asm.Reg]bool {
	return map[x86asm.Reg]bool{x86asm.RAX: true, x86asm.RBX: true, x86asm.RCX: true, x86asm.R14: true}
}

// writesAny reports whether an instruction may change one of the registers.
// What is not known to leave them alone counts as a change.
func writesAny(in *inst, regs map[x86asm.Reg]bool) bool {
	switch in.Op {
	case x86asm.CMP, x86asm.TEST, x86asm.NOP, x86asm.PUSH, x86asm.RET:
		return false
	case x86asm.MOV, x86asm.LEA, x86asm.SUB, x86asm.ADD, x86asm.XOR, x86asm.AND, x86asm.OR, x86asm.POP, x86asm.MOVSXD, x86asm.MOVZX, x86asm.MOVSX,
		x86asm.MOVUPS, x86asm.MOVAPS, x86asm.MOVDQA, x86asm.MOVDQU, x86asm.XORPS, x86asm.PXOR:
		r, ok := in.Args[0].(x86asm.Reg)
		return ok && regs[whole(r)]
	}
	return true
}

// whole gives the 64-bit register that r is a part of.
func whole(r x86asm.Reg) x86asm.Reg {
	switch {
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return r - x86asm.EAX + x86asm.RAX
	case r >= x86asm.AX && r <= x86asm.R15W:
		return r - x86asm.AX + x86asm.RAX
	case r >= x86asm.AL && r <= x86asm.BL:
		return r - x86asm.AL + x86asm.RAX
	case r >= x86asm.AH && r <= x86asm.BH:
		return r - x86asm.AH + x86asm.RAX
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return r - x86asm.SPB + x86asm.RSP
	}
	return r
}
