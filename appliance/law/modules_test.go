package law

import (
	"fmt"
	"os/exec"
	"sort"
	"strings"
	"testing"
)

// reasons names every module that go.mod may require itself, and why the
// standard library is not enough.
var reasons = map[string]string{
	"github.com/alecthomas/kong":          "the command line, declared as a struct",
	"github.com/coreos/go-systemd/v22":    "sd_notify and the watchdog of systemd",
	"github.com/danielgtaylor/huma/v2":    "the API and its OpenAPI document from one declaration",
	"github.com/emiago/sipgo":             "the SIP grammar, and the lab's own SIP stack",
	"github.com/go-viper/mapstructure/v2": "strict decoding of what viper read",
	"github.com/icholy/digest":            "the mathematics of digest authentication",
	"github.com/miekg/dns":                "NAPTR and SRV with their TTL, which package net does not tell",
	"github.com/nyaruka/phonenumbers":     "the world's number plans",
	"github.com/pion/dtls/v3":             "the DTLS handshake of DTLS-SRTP, which package crypto/tls has not",
	"github.com/pion/ice/v4":              "the stranger that our own ICE agent is tested against",
	"github.com/pion/rtcp":                "RTCP packets",
	"github.com/pion/rtp":                 "RTP packets",
	"github.com/pion/srtp/v3":             "SRTP transforms",
	"github.com/pion/stun/v3":             "STUN messages: phones keep their flows by them, ICE checks its paths",
	"github.com/pion/turn/v5":             "allocations at TURN servers, their refresh, permissions and channels",
	"github.com/prometheus/client_golang": "metrics in the form that others scrape",
	"github.com/spf13/viper":              "the daemon's own few settings, from file and environment",
	"github.com/vishvananda/netlink":      "links, addresses and routes of the kernel",
	"github.com/vishvananda/netns":        "network namespaces",
	"go.etcd.io/bbolt":                    "one file that survives a power cut",
	"go.yaml.in/yaml/v3":                  "the site document, with the position of every node",
	"golang.org/x/net":                    "bounds on the connections of the HTTP servers",
	"golang.org/x/sync":                   "groups of goroutines that end together",
	"golang.org/x/sys":                    "socket options",
	"pgregory.net/rapid":                  "properties instead of examples, for tests",
}

func modulesHaveReasons(h *house) (found []string) {
	required := map[string]bool{}
	for _, m := range h.modules {
		required[m] = true
		if reasons[m] == "" {
			found = append(found, fmt.Sprintf("go.mod: requires %s: no reason is given in appliance/law", m))
		}
		if !imported(h, m) {
			found = append(found, fmt.Sprintf("go.mod: requires %s: nobody imports it", m))
		}
	}
	if h.modules == nil {
		return found
	}
	for m := range reasons {
		if !required[m] {
			found = append(found, fmt.Sprintf("appliance/law: gives a reason for %s, which go.mod does not require", m))
		}
	}
	sort.Strings(found)
	return found
}

// imported says whether any file, tests included, imports from a module.
func imported(h *house, m string) bool {
	for _, p := range h.packages {
		for _, f := range p.files {
			for _, i := range f.imports() {
				if i == m || strings.HasPrefix(i, m+"/") {
					return true
				}
			}
		}
	}
	return false
}

// agreed are the names in the root folder; dotfiles are free.
const agreed = "cmd appliance sbc survivability netcfg firmware image ui testdata " +
	"go.mod go.sum Makefile README.md LICENSE CHANGELOG.md"

func topFolderIsAgreed(h *house) (found []string) {
	for _, name := range h.top {
		if !strings.HasPrefix(name, ".") && !listed(agreed, name) {
			found = append(found, fmt.Sprintf("%s: a new name in the root folder needs an agreement", name))
		}
	}
	return found
}

// topFolder lists what git has or would take in the root folder; without git
// (a source archive) there is nothing but what is agreed.
func topFolder(t *testing.T, root string) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Logf("git lists nothing here (%v): the root folder is not judged", err)
		return nil
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "/")
		seen[name] = true
	}
	var top []string
	for name := range seen {
		top = append(top, name)
	}
	sort.Strings(top)
	return top
}
