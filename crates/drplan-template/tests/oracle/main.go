// Command oracle says what Go makes of the templates of the corpus.
//
//	go run . ../corpus          rewrites what is stale
//	go run . -check ../corpus   names what is stale and fails
//	go run . -serve ../corpus   answers templates on standard input, for the comparison of the fuzz test
//	go run . -tables            prints src/unicode/tables.rs
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"text/template"
	"unicode/utf8"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

func main() {
	check := flag.Bool("check", false, "only name what is stale")
	serve := flag.Bool("serve", false, "answer templates on standard input")
	tables := flag.Bool("tables", false, "print the tables of characters")
	flag.Parse()
	if *tables {
		printTables(os.Stdout)
		return
	}
	corpus := flag.Arg(0)
	data, err := readData(filepath.Join(corpus, "data.json"))
	if err != nil {
		fail(err)
	}
	if *serve {
		if err := answer(data); err != nil {
			fail(err)
		}
		return
	}
	files, err := filepath.Glob(filepath.Join(corpus, "*.txt"))
	if err != nil {
		fail(err)
	}
	sort.Strings(files)
	stale := false
	for _, file := range files {
		old, err := os.ReadFile(file)
		if err != nil {
			fail(err)
		}
		fresh := regenerate(string(old), data)
		if fresh == string(old) {
			continue
		}
		stale = true
		fmt.Println("stale:", filepath.Base(file))
		if !*check {
			if err := os.WriteFile(file, []byte(fresh), 0o644); err != nil {
				fail(err)
			}
		}
	}
	if stale && *check {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

// regenerate replaces the answers of a file of the corpus. Entries are separated by lines of ====, may begin with lines
// of comment that start with "#: ", and have their answer behind a line that starts with ----. It may be followed by
// "---- ours" and what is ours, which stays.
func regenerate(text string, data any) string {
	entries := strings.Split(text, "\n====\n")
	for i, entry := range entries {
		comment := ""
		for strings.HasPrefix(entry, "#: ") {
			line, rest, _ := strings.Cut(entry, "\n")
			comment += line + "\n"
			entry = rest
		}
		ours := ""
		if at := strings.Index("\n"+entry, "\n---- ours"); at >= 0 {
			ours = "\n" + strings.TrimSuffix(entry[at:], "\n")
			entry = entry[:max(at-1, 0)]
		}
		source := entry
		if at := strings.Index("\n"+entry, "\n---- "); at >= 0 {
			source = strings.TrimSuffix(entry[:at], "\n")
		} else {
			source = strings.TrimSuffix(source, "\n")
		}
		entries[i] = comment + source + "\n" + verdict(source, data) + ours
		if i == len(entries)-1 {
			entries[i] += "\n"
		}
	}
	return strings.Join(entries, "\n====\n")
}

func verdict(source string, data any) string {
	output, err := render(source, data)
	switch {
	case err != nil && parseFails(source):
		return "---- refused"
	case err != nil:
		return "---- fails"
	case !utf8.ValidString(output):
		return "---- not utf-8"
	case strings.ContainsAny(output, "\r\x00") || strings.Contains("\n"+output, "\n----") || strings.Contains("\n"+output, "\n===="):
		quoted, _ := json.Marshal(output)
		return "---- json\n" + string(quoted)
	default:
		return "---- ok\n" + output
	}
}

func parseFails(source string) bool {
	_, err := parse(source)
	return err != nil
}

func parse(source string) (*template.Template, error) {
	return template.New("").Option("missingkey=error").Funcs(known()).Parse(source)
}

func render(source string, data any) (string, error) {
	parsed, err := parse(source)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = parsed.Execute(&out, data)
	return out.String(), err
}

var ours = []string{
	"default", "empty", "coalesce", "ternary", "fail", "quote", "squote", "trim", "trimPrefix", "trimSuffix", "upper",
	"lower", "title", "trunc", "replace", "contains", "hasPrefix", "hasSuffix", "split", "splitList", "join", "indent",
	"nindent", "list", "dict", "get", "hasKey", "first", "last", "int", "toString", "add", "sub", "mul", "div",
	"mod", "add1", "b64enc", "b64dec", "sha256sum", "regexMatch", "regexReplaceAll", "toJson", "fromJson",
}

// known is made once, as a program that renders many templates would do it.
var known = sync.OnceValue(functions)

// functions gives those of sprig that templates have, and the few that are Helm's or our own.
func functions() template.FuncMap {
	all := sprig.TxtFuncMap()
	chosen := template.FuncMap{}
	for _, name := range ours {
		if all[name] == nil {
			panic("sprig has no " + name)
		}
		chosen[name] = all[name]
	}
	// sprig's order is that of a map of Go, which is none.
	chosen["keys"] = func(maps ...map[string]interface{}) []string {
		keys := []string{}
		for _, m := range maps {
			own := []string{}
			for key := range m {
				own = append(own, key)
			}
			sort.Strings(own)
			keys = append(keys, own...)
		}
		return keys
	}
	chosen["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil {
			return value, errors.New(message)
		}
		if text, ok := value.(string); ok && text == "" {
			return value, errors.New(message)
		}
		return value, nil
	}
	chosen["toYaml"] = func(value interface{}) string {
		data, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(data), "\n")
	}
	chosen["pathEscape"] = url.PathEscape
	return chosen
}

// readData gives JSON as Kubernetes has it: whole numbers are int64, others float64.
func readData(file string) (any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var data any
	if err := decoder.Decode(&data); err != nil {
		return nil, err
	}
	return numbers(data), nil
}

func numbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, element := range value {
			value[key] = numbers(element)
		}
	case []any:
		for i, element := range value {
			value[i] = numbers(element)
		}
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, _ := value.Float64()
		return float
	}
	return value
}

// answer reads templates, each with its length before it, and writes for each 'o' or 'e', a length and the output.
func answer(data any) error {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		source := make([]byte, length)
		if _, err := io.ReadFull(in, source); err != nil {
			return err
		}
		output, err := render(string(source), data)
		kind := byte('o')
		if err != nil {
			kind, output = 'e', err.Error()
		}
		out.WriteByte(kind)
		binary.Write(out, binary.LittleEndian, uint32(len(output)))
		out.WriteString(output)
		if err := out.Flush(); err != nil {
			return err
		}
	}
}
