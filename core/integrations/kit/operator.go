package kit

import (
	"context"
	"os/exec"
	"syscall"
)

// Operator is who wrote the settings. Under sudo that is the user who called it:
// what their references name is read with their rights, not with ours.
type Operator struct {
	Other    bool                     // it is not who we run as
	UID, GID uint32                   // for commands
	Do       func(func() error) error // runs something with the operator's rights
}

type operatorKey struct{}

// WithOperator gives secrets that are read within ctx the rights of o.
func WithOperator(ctx context.Context, o Operator) context.Context {
	return context.WithValue(ctx, operatorKey{}, o)
}

// as runs f with the rights of the operator of ctx, if there is another.
func as(ctx context.Context, f func() error) error {
	if o, ok := ctx.Value(operatorKey{}).(Operator); ok && o.Other {
		return o.Do(f)
	}
	return f()
}

// demote lets a command run as the operator of ctx.
func demote(ctx context.Context, cmd *exec.Cmd) {
	if o, ok := ctx.Value(operatorKey{}).(Operator); ok && o.Other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.UID, Gid: o.GID}}
	}
}
