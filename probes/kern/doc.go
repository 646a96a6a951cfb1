// Package kern is what every probe needs of the kernel: to know what this
// kernel and this user allow (Needs, Capabilities), to load and attach programs
// all or nothing (Attachment), to read ring buffers and iterators without
// allocating (Ring, ReadIter), and to know what our programs cost (Meter).
//
// Only packages below probes use it, and nothing above probes sees a type of
// the eBPF library.
package kern
