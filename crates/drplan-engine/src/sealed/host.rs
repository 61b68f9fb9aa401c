//! Who decides where values of Secrets are sent.

use drplan_api::canonical::{Doing, Parameter, Work};
use drplan_template::Template;

use super::SealedParameters;

impl SealedParameters {
    /// The parameters by which whoever runs the plan chooses the host that values of Secrets are sent to.
    pub(crate) fn host_chosen_by(&self, doing: &Doing, parameters: &[Parameter]) -> Vec<String> {
        let Work::Http(http) = &doing.work else {
            return Vec::new();
        };
        if !self.sources(doing).iter().any(|source| source.is_secret()) {
            return Vec::new();
        }
        let Ok(host) = Template::parse(host_of(&http.url)) else {
            return Vec::new();
        };
        let references = host.references();
        let everything = references.params_dynamic.is_some() || references.root_dynamic.is_some();
        let chosen = parameters.iter().filter(|parameter| {
            let name = parameter.name.as_str();
            parameter.overridable && (everything || references.params.contains_key(name))
        });
        chosen
            .map(|parameter| parameter.name.as_str().to_owned())
            .collect()
    }
}

/// The beginning of a URL as it is written, up to where its host has ended for sure.
fn host_of(url: &str) -> &str {
    let mut in_expression = false;
    let mut begin = 0;
    for (at, character) in url.char_indices() {
        let rest = &url[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            in_expression = rest.starts_with("{{");
        } else if !in_expression && rest.starts_with("://") {
            begin = at + "://".len();
        } else if !in_expression && at >= begin && matches!(character, '/' | '?' | '#') {
            return &url[..at];
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_ends_at_its_path() {
        let check = |url: &str, expect: &str| assert_eq!(host_of(url), expect, "{url}");
        check("https://a.example/b", "https://a.example");
        check(
            "https://{{ .params.host }}:80/b?c",
            "https://{{ .params.host }}:80",
        );
        check("{{ .params.site }}/b/{{ .params.c }}", "{{ .params.site }}");
        check(
            "{{ .params.site | default \"http://a/\" }}?b",
            "{{ .params.site | default \"http://a/\" }}",
        );
        check("https://a?b={{ .params.c }}", "https://a");
        check("https://{{ .params.a }}", "https://{{ .params.a }}");
    }
}
