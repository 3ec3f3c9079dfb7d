package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"linekeeper/sbc/provider"
)

// MaxDocument is the greatest size of a site document in bytes.
const MaxDocument = 1 << 20

// Parse reads a site document. name stands in the findings. The site is nil if
// an error is among them; warnings and notes leave it usable. All findings
// come at once, in the order of their places.
func Parse(name string, document []byte) (*Site, Problems) {
	r := &reader{file: name, at: map[string]place{}}
	root := r.root(document)
	if root == nil {
		return nil, r.found.sorted()
	}
	profile, known := provider.Lookup(provider.Name(lookup(root, "provider", "profile")))
	if !known {
		profile = mustProfile(provider.Generic)
	}
	country := lookup(root, "site", "country")
	if country == "" {
		country = "DE"
	}
	s := bare(country)
	s.fill(profile)
	r.at[""] = place{root.Line, root.Column}
	r.value(root, "", reflect.ValueOf(s).Elem(), "")
	s.settle(profile)
	if known && !r.full() {
		r.judge(s)
	}
	if !r.found.Failed() {
		r.effects(root)
	}
	found := r.found.sorted()
	if found.Failed() {
		return nil, found
	}
	return s, found
}

// root is the mapping that the document consists of, nil if there is none.
func (r *reader) root(document []byte) *yaml.Node {
	whole := place{1, 1}
	if len(document) > MaxDocument {
		r.add(Error, whole, "", fmt.Sprintf("the document has %d bytes", len(document)), fmt.Sprintf("at most %d", MaxDocument))
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(document))
	var doc, next yaml.Node
	err := d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		r.add(Error, whole, "", "the document is empty", "site, provider and extensions are needed")
		return nil
	case err != nil:
		r.add(Error, syntaxPlace(err), "", "not YAML: "+syntaxText(err), "")
		return nil
	}
	if err := d.Decode(&next); err == nil {
		r.add(Error, place{max(1, next.Line), 1}, "", "a second document begins", "a site is one document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		r.add(Error, syntaxPlace(err), "", "not YAML: "+syntaxText(err), "")
		return nil
	}
	root := doc.Content[0]
	if isNull(root) {
		r.add(Error, whole, "", "the document is empty", "site, provider and extensions are needed")
		return nil
	}
	return root
}

var reSyntax = regexp.MustCompile(`line (\d+)`)

func syntaxPlace(err error) place {
	if m := reSyntax.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return place{n, 1}
		}
	}
	return place{1, 1}
}

func syntaxText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "line ") {
		text = rest
	}
	return shorten2(text)
}

// shorten2 keeps the parser's own words, which may quote the document.
func shorten2(text string) string {
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// lookup is a text of the document ahead of reading it, "" if it isn't there.
func lookup(n *yaml.Node, keys ...string) string {
	for _, k := range keys {
		if n.Kind != yaml.MappingNode {
			return ""
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == k {
				next = n.Content[i+1]
				break
			}
		}
		if next == nil {
			return ""
		}
		n = next
	}
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}
