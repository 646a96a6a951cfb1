// Package push sends what vitals knows to a Prometheus Pushgateway.
//
// A destination is a core.Unit, described by NewSpec and run by the supervisor;
// Once and DryRun are the same without a life. Per push: the newest snapshot
// becomes metric families, which are checked (prepare), encoded (encode), sent
// (client) and the answer classified (classify). The unit's loop (unit) turns
// the verdict into the time of the next attempt, and status into a core.PushRow
// and a few lines of log.
//
// Nothing leaves the machine without a configured address. Secrets are in no
// error, row or log line.
package push
