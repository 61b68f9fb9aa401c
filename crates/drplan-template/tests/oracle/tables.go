package main

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// printTables writes what Go knows of characters, as ranges of code points.
func printTables(out io.Writer) {
	fmt.Fprintln(out, "//! What Go's unicode and strconv know of characters, written by `go run . -tables` in tests/oracle.")
	ranges(out, "LETTERS", "The letters", unicode.IsLetter)
	ranges(out, "DIGITS", "The decimal digits", unicode.IsDigit)
	ranges(out, "SPACES", "The white space", unicode.IsSpace)
	ranges(out, "PRINTABLE", "What `strconv.Quote` writes as it is", strconv.IsPrint)
	shifts(out, "UPPER", "upper", unicode.ToUpper)
	shifts(out, "LOWER", "lower", unicode.ToLower)
	shifts(out, "TITLE", "title", unicode.ToTitle)
	groups(out)
}

// groups writes the names that \p{…} knows in a regular expression of Go.
func groups(out io.Writer) {
	names := map[string]string{}
	for name := range unicode.Scripts {
		names[canonical(name)] = "sc=" + name
	}
	for name := range unicode.Categories {
		names[canonical(name)] = "gc=" + name
	}
	for alias, name := range unicode.CategoryAliases {
		if names[canonical(alias)] == "" {
			names[canonical(alias)] = "gc=" + name
		}
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	fmt.Fprint(out, "\n/// The names of groups of characters in regular expressions, without case and separators, and what the regex\n")
	fmt.Fprint(out, "/// crate calls them; in order.\n#[rustfmt::skip]\npub(crate) static GROUPS: &[(&str, &str)] = &[")
	for i, name := range sorted {
		if i%4 == 0 {
			fmt.Fprint(out, "\n   ")
		}
		fmt.Fprintf(out, " (%q, %q),", name, names[name])
	}
	fmt.Fprint(out, "\n];\n")
}

func canonical(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}

func ranges(out io.Writer, name, what string, has func(rune) bool) {
	fmt.Fprintf(out, "\n/// %s, as first and last of each range, in order.\n", what)
	fmt.Fprintf(out, "#[rustfmt::skip]\npub(crate) static %s: &[(u32, u32)] = &[", name)
	count := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !has(r) {
			continue
		}
		first := r
		for r < unicode.MaxRune && has(r+1) {
			r++
		}
		if count%6 == 0 {
			fmt.Fprint(out, "\n   ")
		}
		count++
		fmt.Fprintf(out, " (0x%X, 0x%X),", first, r)
	}
	fmt.Fprint(out, "\n];\n")
}

// shifts writes runs of characters, every one or every second one, that change by the same difference.
func shifts(out io.Writer, name, what string, change func(rune) rune) {
	fmt.Fprintf(out, "\n/// The changes to %s case: first and last of a run, its step, and the difference.\n", what)
	fmt.Fprintf(out, "#[rustfmt::skip]\npub(crate) static %s: &[(u32, u32, u32, i32)] = &[", name)
	count := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		difference := change(r) - r
		if difference == 0 {
			continue
		}
		first, step := r, rune(1)
		same := func(r rune) bool { return r <= unicode.MaxRune && change(r)-r == difference }
		if !same(r+1) && same(r+2) && change(r+1) == r+1 {
			step = 2
		}
		for same(r+step) && (step == 1 || change(r+1) == r+1) {
			r += step
		}
		if count%4 == 0 {
			fmt.Fprint(out, "\n   ")
		}
		count++
		fmt.Fprintf(out, " (0x%X, 0x%X, %d, %d),", first, r, step, difference)
	}
	fmt.Fprint(out, "\n];\n")
}
