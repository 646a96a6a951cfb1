package discover

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"

	"vitals/core"
)

const (
	dockerFolder  = "/var/lib/docker/containers"
	maxDockerFile = 1 << 20
	maxContainers = 4096
)

// containers names containers from what engines keep on disk; no engine is
// asked. It may be used concurrently.
type containers struct {
	folder string
	mu     sync.Mutex
	names  map[string]string // by id; "" is a known absence
}

func newContainers() *containers {
	return &containers{folder: dockerFolder, names: make(map[string]string)}
}

// name returns the name that the user gave the container, "" when unknown.
func (c *containers) name(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, known := c.names[id]
	if !known {
		if len(c.names) >= maxContainers {
			clear(c.names)
		}
		name = readDockerName(c.folder, id)
		c.names[id] = name
	}
	return name
}

func readDockerName(folder, id string) string {
	if !isHex(id) {
		return ""
	}
	f, err := os.Open(folder + "/" + id + "/config.v2.json")
	if err != nil {
		return ""
	}
	defer f.Close()
	var config struct{ Name string }
	if err := json.NewDecoder(io.LimitReader(f, maxDockerFile)).Decode(&config); err != nil {
		return ""
	}
	return core.Clean(strings.TrimPrefix(config.Name, "/"), core.MaxName)
}
