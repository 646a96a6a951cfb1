// Package tls finds where the plain text of encrypted connections passes
// through a program: which functions of which library or executable, and at which
// instructions a probe is safe and cheap. The programs that run there, and the
// unit, are those of probes/requests; nothing here touches the kernel.
package tls
