package redis

import "strings"

// kind is what is special about a command.
type kind uint8

const (
	plain     kind = iota
	container      // its first argument is part of its name
	subscribe      // answered once for each argument, by pushes
	monitor        // lines follow without being asked for
	blocking       // waits on purpose
	perhaps        // waits on purpose when an argument is BLOCK
	exec           // its answer holds the answers of other commands
	replicate      // the connection becomes a replication link
	reply          // CLIENT, which can switch answers off
)

type command struct {
	name string
	kind kind
}

// commands are the commands of Redis, Valkey and the usual modules by kind.
// Everything else is "OTHER": names are the client's to invent.
var commands = index(map[kind]string{
	plain: `APPEND ASKING AUTH BGREWRITEAOF BGSAVE BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS COPY DBSIZE
		DECR DECRBY DEL DISCARD DUMP ECHO EVAL EVALSHA EVALSHA_RO EVAL_RO EXISTS EXPIRE EXPIREAT EXPIRETIME FAILOVER FCALL
		FCALL_RO FLUSHALL FLUSHDB GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO
		GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HELLO HEXISTS HEXPIRE HEXPIREAT
		HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT
		HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY INCRBYFLOAT INFO KEYS LASTSAVE
		LCS LINDEX LINSERT LLEN LMOVE LMPOP LOLWUT LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MIGRATE MOVE MSET
		MSETNX MULTI PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST PING PSETEX PTTL PUBLISH
		QUIT RANDOMKEY READONLY READWRITE RENAME RENAMENX REPLCONF REPLICAOF RESET RESTORE RESTORE-ASKING ROLE RPOP
		RPOPLPUSH RPUSH RPUSHX SADD SAVE SCAN SCARD SDIFF SDIFFSTORE SELECT SET SETBIT SETEX SETNX SETRANGE SHUTDOWN SINTER
		SINTERCARD SINTERSTORE SISMEMBER SLAVEOF SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SPUBLISH SRANDMEMBER SREM SSCAN
		STRLEN SUBSTR SUNION SUNIONSTORE SWAPDB TIME TOUCH TTL TYPE UNLINK UNWATCH VADD VCARD VDIM VEMB VSIM VREM
		WATCH XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD
		ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER
		ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE
		ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE
		BF.ADD BF.EXISTS BF.MADD BF.MEXISTS BF.RESERVE FT.AGGREGATE FT.CREATE FT.INFO FT.SEARCH JSON.ARRAPPEND JSON.DEL
		JSON.GET JSON.MERGE JSON.MGET JSON.MSET JSON.NUMINCRBY JSON.SET JSON.TYPE TS.ADD TS.CREATE TS.GET TS.MADD TS.MGET
		TS.MRANGE TS.RANGE`,
	container: `ACL CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SENTINEL SLOWLOG
		XGROUP XINFO`,
	subscribe: "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE",
	monitor:   "MONITOR",
	blocking:  "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF",
	perhaps:   "XREAD XREADGROUP",
	exec:      "EXEC",
	replicate: "PSYNC SYNC",
	reply:     "CLIENT",
})

// subcommands are those of all containers, as one list of pairs.
var subcommands = pairs(map[string]string{
	"ACL":      "CAT DELUSER DRYRUN GENPASS GETUSER HELP LIST LOAD LOG SAVE SETUSER USERS WHOAMI",
	"CLIENT":   "CACHING GETNAME GETREDIR HELP ID INFO KILL LIST NO-EVICT NO-TOUCH PAUSE REPLY SETINFO SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE",
	"CLUSTER":  "ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNT-FAILURE-REPORTS COUNTKEYSINSLOT DELSLOTS DELSLOTSRANGE FAILOVER FLUSHSLOTS FORGET GETKEYSINSLOT HELP INFO KEYSLOT LINKS MEET MYID MYSHARDID NODES REPLICAS REPLICATE RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SHARDS SLAVES SLOTS",
	"COMMAND":  "COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST",
	"CONFIG":   "GET HELP RESETSTAT REWRITE SET",
	"DEBUG":    "HELP JMAP OBJECT RELOAD SEGFAULT SET-ACTIVE-EXPIRE SLEEP",
	"FUNCTION": "DELETE DUMP FLUSH HELP KILL LIST LOAD RESTORE STATS",
	"LATENCY":  "DOCTOR GRAPH HELP HISTOGRAM HISTORY LATEST RESET",
	"MEMORY":   "DOCTOR HELP MALLOC-STATS PURGE STATS USAGE",
	"MODULE":   "HELP LIST LOAD LOADEX UNLOAD",
	"OBJECT":   "ENCODING FREQ HELP IDLETIME REFCOUNT",
	"PUBSUB":   "CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB",
	"SCRIPT":   "DEBUG EXISTS FLUSH HELP KILL LOAD SHOW",
	"SENTINEL": "CKQUORUM CONFIG DEBUG FAILOVER FLUSHCONFIG GET-MASTER-ADDR-BY-NAME HELP INFO-CACHE IS-MASTER-DOWN-BY-ADDR MASTER MASTERS MONITOR MYID PENDING-SCRIPTS REMOVE REPLICAS RESET SENTINELS SET SIMULATE-FAILURE SLAVES",
	"SLOWLOG":  "GET HELP LEN RESET",
	"XGROUP":   "CREATE CREATECONSUMER DELCONSUMER DESTROY HELP SETID",
	"XINFO":    "CONSUMERS GROUPS HELP STREAM",
})

const (
	maxName = 24 // of a command or subcommand
	unknown = "OTHER"
)

func index(kinds map[kind]string) map[string]command {
	all := make(map[string]command)
	for k, names := range kinds {
		for _, name := range strings.Fields(names) {
			all[name] = command{name, k}
		}
	}
	return all
}

func pairs(containers map[string]string) map[string]string {
	all := make(map[string]string)
	for name, subs := range containers {
		for _, sub := range strings.Fields(subs) {
			all[name+" "+sub] = name + " " + sub
		}
	}
	return all
}

// lookup gives the command that b names in any case.
func lookup(b []byte) command {
	var upper [maxName]byte
	if c, ok := commands[string(upper[:upperCase(upper[:], b)])]; ok {
		return c
	}
	return command{name: unknown}
}

// sub gives the name of a container with its subcommand, and the container
// alone when that is not known.
func sub(of string, b []byte) string {
	var full [2*maxName + 1]byte
	n := copy(full[:], of)
	full[n] = ' '
	n++
	k := upperCase(full[n:], b)
	if k == 0 {
		return of
	}
	if name, ok := subcommands[string(full[:n+k])]; ok {
		return name
	}
	return of
}

// upperCase writes b in upper case to dst and gives its length, 0 when it does
// not fit.
func upperCase(dst, b []byte) int {
	if len(b) > len(dst) {
		return 0
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst[i] = c
	}
	return len(b)
}

// equalFold compares b with upper, which is in upper case.
func equalFold(b []byte, upper string) bool {
	var buf [maxName]byte
	return len(b) == len(upper) && string(buf[:upperCase(buf[:], b)]) == upper
}
