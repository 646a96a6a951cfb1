// Package protocols lists every protocol that vitals can read.
package protocols

import (
	"vitals/core/wire"
	"vitals/core/wire/dns"
	"vitals/core/wire/http1"
	"vitals/core/wire/http2"
	"vitals/core/wire/memcached"
	"vitals/core/wire/mysql"
	"vitals/core/wire/postgres"
	"vitals/core/wire/redis"
	"vitals/core/wire/tls"
	"vitals/core/wire/websocket"
)

// List is all protocols, the surest signatures first. A new one is a folder
// under core/wire and a line here.
func List() []*wire.Protocol {
	return []*wire.Protocol{
		&http1.Protocol,
		&http2.Protocol,
		&dns.UDP,
		&dns.TCP,
		&memcached.Protocol,
		&mysql.Protocol,
		&postgres.Protocol,
		&redis.Protocol,
		&tls.Protocol,
		&websocket.Protocol,
	}
}
