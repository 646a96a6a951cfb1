// Package integrations asks servers for what they know of themselves. It lists
// the kinds, finds servers of them among the processes, and gives each a unit
// for the supervisor.
package integrations

import (
	"vitals/core/integrations/blackbox"
	"vitals/core/integrations/haproxy"
	"vitals/core/integrations/host"
	"vitals/core/integrations/kit"
	"vitals/core/integrations/memcached"
	"vitals/core/integrations/mysql"
	"vitals/core/integrations/nginx"
	"vitals/core/integrations/postgres"
	"vitals/core/integrations/prometheus"
	"vitals/core/integrations/redis"
)

// Kinds is the list of integrations, in the order of screens.
func Kinds() []kit.Kind {
	return []kit.Kind{
		host.Kind(),
		postgres.Kind(),
		mysql.Kind(),
		redis.Kind(),
		memcached.Kind(),
		nginx.Kind(),
		haproxy.Kind(),
		prometheus.Kind(),
		blackbox.Kind(),
	}
}
