package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fingerprint is a hash of what a site document says: comments, the order of
// keys, quotes and layout don't change it, every value does. What isn't YAML
// is hashed as it is. It is made of the document and not of the parsed site,
// so that new defaults of a later version don't look like a new document.
func Fingerprint(document []byte) string {
	h := sha256.New()
	var doc yaml.Node
	if len(document) > MaxDocument || yaml.Unmarshal(document, &doc) != nil || len(doc.Content) == 0 {
		h.Write([]byte("raw\n"))
		h.Write(document)
	} else {
		h.Write([]byte("site\n"))
		var b strings.Builder
		canonical(&b, doc.Content[0])
		h.Write([]byte(b.String()))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// canonical writes a node in the one form that all equal nodes share. Aliases
// are named, not followed.
func canonical(b *strings.Builder, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		order := make([]int, 0, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			order = append(order, i)
		}
		slices.SortStableFunc(order, func(i, j int) int { return strings.Compare(n.Content[i].Value, n.Content[j].Value) })
		b.WriteString("{")
		for _, i := range order {
			canonical(b, n.Content[i])
			b.WriteString(":")
			canonical(b, n.Content[i+1])
			b.WriteString(",")
		}
		b.WriteString("}")
	case yaml.SequenceNode:
		b.WriteString("[")
		for _, c := range n.Content {
			canonical(b, c)
			b.WriteString(",")
		}
		b.WriteString("]")
	case yaml.AliasNode:
		fmt.Fprintf(b, "*%q", n.Value)
	default:
		fmt.Fprintf(b, "%q", n.Value)
	}
}

// RedactDocument is the document with the placeholder in place of every
// secret, comments and order kept. What isn't a site document is refused
// rather than shown.
func RedactDocument(document []byte) ([]byte, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("redacting the site document: %d bytes, at most %d", len(document), MaxDocument)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("redacting the site document: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	redact(&doc, secretKeys())
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return nil, fmt.Errorf("redacting the site document: %w", err)
	}
	return b.Bytes(), nil
}

// secretKeys are the last keys of all paths that hold a secret. They are
// redacted wherever they stand, so that a misplaced one isn't shown either.
func secretKeys() map[string]bool {
	out := map[string]bool{}
	walkType(reflect.TypeFor[Site](), "", func(path string, f field) {
		if f.Type == reflect.TypeFor[Secret]() {
			out[path[strings.LastIndexByte(path, '.')+1:]] = true
		}
	})
	return out
}

func redact(n *yaml.Node, keys map[string]bool) {
	for _, c := range []*string{&n.HeadComment, &n.LineComment, &n.FootComment} {
		for k := range keys {
			if strings.Contains(*c, k) {
				*c = "# (a comment that names a secret isn't shown)" // it may hold an old one
			}
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			v := n.Content[i+1]
			redact(n.Content[i], keys) // its comments
			if !keys[n.Content[i].Value] {
				redact(v, keys)
				continue
			}
			if v.Kind != yaml.ScalarNode || v.Value != "" {
				*v = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: Placeholder}
			}
		}
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, c := range n.Content {
			redact(c, keys)
		}
	}
}

// Redacted is a copy for printing: no secret can be revealed from it.
func (s *Site) Redacted() *Site {
	out := *s
	out.Extensions = slices.Clone(s.Extensions)
	hide := func(x *Secret) {
		if !x.IsZero() {
			*x = NewSecret(Placeholder)
		}
	}
	for i := range out.Extensions {
		e := &out.Extensions[i]
		hide(&e.Password)
		hide(&e.Cloud.Password)
		hide(&e.Voicemail.PIN)
	}
	hide(&out.Network.WAN.Password)
	return &out
}
