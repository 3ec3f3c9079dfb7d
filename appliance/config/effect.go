package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// acts says for every leaf of the site document whether this version acts on
// it. This is the only place that says so; a key without a row fails the test.
var acts = map[string]bool{
	"site.name":        true,
	"site.country":     true,
	"site.area_code":   true,
	"site.main_number": true,
	"site.timezone":    true,
	"site.language":    true,

	"provider.profile":              true,
	"provider.domain":               true,
	"provider.servers":              true,
	"provider.transport":            true,
	"provider.tls.ca":               true,
	"provider.tls.certificate":      true,
	"provider.tls.key":              true,
	"provider.tls.server_name":      true,
	"provider.srtp":                 true,
	"provider.keying":               true,
	"provider.ice":                  true,
	"provider.stun":                 true,
	"provider.turn.servers":         true,
	"provider.turn.user":            true,
	"provider.turn.password":        true,
	"provider.register.expires":     true,
	"provider.register.spacing":     true,
	"provider.register.nat_refresh": true,
	"provider.codecs":               true,
	"provider.internal_calls":       true,

	"lan.sip":           true,
	"lan.media_address": true,
	"lan.media_ports":   true,
	"lan.srtp":          true,
	"lan.keying":        true,
	"lan.ice":           true,
	"lan.direct_media":  true,
	"lan.pass_through":  true,

	"lan.clients[].name":       true,
	"lan.clients[].profile":    true,
	"lan.clients[].address":    true,
	"lan.clients[].transport":  true,
	"lan.clients[].port":       true,
	"lan.clients[].srtp":       true,
	"lan.clients[].keying":     true,
	"lan.clients[].ice":        true,
	"lan.clients[].auth":       true,
	"lan.clients[].password":   true,
	"lan.clients[].extensions": true,

	"wan.address":               true,
	"wan.media_ports":           true,
	"wan.bandwidth.up":          false,
	"wan.bandwidth.down":        false,
	"wan.backup.address":        false,
	"wan.backup.bandwidth.up":   false,
	"wan.backup.bandwidth.down": false,

	"extensions[].number":                  true,
	"extensions[].name":                    true,
	"extensions[].public":                  true,
	"extensions[].password":                true,
	"extensions[].cloud.account":           true,
	"extensions[].cloud.auth":              true,
	"extensions[].cloud.password":          true,
	"extensions[].class":                   true,
	"extensions[].voicemail.pin":           false,
	"extensions[].voicemail.email":         false,
	"extensions[].forward.always":          false,
	"extensions[].forward.busy":            false,
	"extensions[].forward.no_answer.to":    false,
	"extensions[].forward.no_answer.after": false,
	"extensions[].forward.unreachable":     false,
	"extensions[].pickup_group":            true,
	"extensions[].devices[].mac":           false,
	"extensions[].devices[].model":         false,

	"groups[].number":   false,
	"groups[].name":     false,
	"groups[].members":  false,
	"groups[].strategy": false,
	"groups[].ring":     false,
	"groups[].then":     false,

	"gateways[].name":                 false,
	"gateways[].kind":                 false,
	"gateways[].model":                false,
	"gateways[].address":              false,
	"gateways[].use":                  false,
	"gateways[].ports[].extension":    false,
	"gateways[].ports[].role":         false,
	"gateways[].handsets[].extension": false,

	"dialplan.outside_prefix": true,
	"dialplan.emergency":      true,
	"dialplan.blocked":        true,
	"dialplan.short":          true,

	"survivability.probe.interval": true,
	"survivability.probe.fast":     true,
	"survivability.probe.fail":     true,
	"survivability.probe.recover":  true,
	"survivability.call_timeout":   true,
	"survivability.hold_external":  false,
	"survivability.announce":       false,

	"quality.min_mos":   true,
	"quality.max_calls": true,
	"quality.transcode": true,

	"security.allow":     true,
	"security.deny":      true,
	"security.ban.after": true,
	"security.ban.for":   true,

	"network.wan.interface":         false,
	"network.wan.mode":              false,
	"network.wan.address":           false,
	"network.wan.gateway":           false,
	"network.wan.dns":               false,
	"network.wan.user":              false,
	"network.wan.password":          false,
	"network.wan.vlan":              false,
	"network.lan.interface":         false,
	"network.lan.vlans[].id":        false,
	"network.lan.vlans[].name":      false,
	"network.lan.vlans[].address":   false,
	"network.lan.vlans[].role":      false,
	"network.lan.vlans[].dhcp.from": false,
	"network.lan.vlans[].dhcp.to":   false,
	"network.qos.media":             true,
	"network.qos.signalling":        true,
	"network.firewall.allow":        false,

	"management.controller": false,
	"ui.listen":             false,
}

const notActedOn = "understood, not acted on by this version"

// effects notes what is written and has no effect yet, once for a key however
// often it is there, and once for a branch of which no key has an effect.
func (r *reader) effects(root *yaml.Node) {
	seen := map[string]int{} // where in r.found, by key
	v := visitor{idle: map[string]bool{}}
	v.report = func(at *yaml.Node, key, path string) {
		if i, again := seen[key]; again {
			r.found[i].Hint = "and at further places"
			return
		}
		seen[key] = len(r.found)
		r.add(Note, place{at.Line, at.Column}, path, notActedOn, "")
	}
	v.visit(root, root, "", "")
}

// visitor walks what is written and reports the topmost keys without effect.
type visitor struct {
	idle   map[string]bool // what is known of the keys so far
	report func(at *yaml.Node, key, path string)
}

// visit looks at n, which is written behind the node at.
func (v visitor) visit(at, n *yaml.Node, key, path string) {
	still, known := v.idle[key]
	if !known {
		still = key != "" && idle(key)
		v.idle[key] = still
	}
	if still {
		if !isEmpty(n) {
			v.report(at, key, path)
		}
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i].Value
			v.visit(n.Content[i], n.Content[i+1], join(key, k), join(path, k))
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			v.visit(c, c, key+"[]", fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

// idle says whether nothing at or below the key has an effect.
func idle(key string) bool {
	if does, leaf := acts[key]; leaf {
		return !does
	}
	below := false
	for k, does := range acts {
		if strings.HasPrefix(k, key+".") || strings.HasPrefix(k, key+"[]") {
			if does {
				return false
			}
			below = true
		}
	}
	return below
}

// isEmpty says whether nothing is written behind a key: "", [], {} or only
// such things.
func isEmpty(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value == "" || isNull(n) || n.ShortTag() == "!!bool" && n.Value == "false"
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			if !isEmpty(n.Content[i]) {
				return false
			}
		}
		return true
	}
	return len(n.Content) == 0
}
