package kern

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"vitals/core"
)

// enotsupp is what the kernel answers to hooks that it does not have; it is not
// among the numbers of user space.
const enotsupp = 524

// Explain adds to an error of the kernel what can be done about it, and says
// whether trying again helps. what is the thing that was attempted, in the
// form "load lifecycle". A nil error stays nil.
func Explain(what string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("%s: %w", what, err)
	var known *core.Remedied
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &known):
		return wrapped
	case errors.Is(err, unix.EPERM), errors.Is(err, fs.ErrPermission):
		return &core.Remedied{Err: wrapped, Permanent: true,
			Remedy: "run as root in the initial namespaces (in a container: privileged, or CAP_BPF and CAP_PERFMON and no seccomp filter on bpf)"}
	case errors.Is(err, btf.ErrNotFound), errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, syscall.Errno(enotsupp)):
		return unsupported(wrapped, "a newer kernel, or one built with CONFIG_DEBUG_INFO_BTF=y")
	case errors.As(err, &verifier):
		return &core.Remedied{Err: fmt.Errorf("%s: this kernel's verifier refuses the program: %s", what, lastLine(verifier)), Permanent: true,
			Remedy: "report it with the output of vitals doctor and the kernel's version"}
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.E2BIG):
		return &core.Remedied{Err: wrapped, Remedy: "free memory, or raise the memory limit of this service"}
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return &core.Remedied{Err: wrapped, Remedy: "raise the limit of open files: ulimit -n 4096"}
	}
	return wrapped
}

func unsupported(err error, remedy string) error {
	return &core.Remedied{Err: fmt.Errorf("%w: %w", core.ErrUnsupported, err), Remedy: remedy, Permanent: true}
}

// lastLine is where a verifier log says what it refused.
func lastLine(err *ebpf.VerifierError) string {
	for i := len(err.Log) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(err.Log[i]); l != "" && !strings.HasPrefix(l, "processed ") {
			return core.Clean(l, core.MaxRoute)
		}
	}
	return core.Clean(err.Error(), core.MaxRoute)
}
