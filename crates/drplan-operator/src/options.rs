//! The command line.

mod election;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable, error::ErrorKind};
use drplan_actions::{Destination, Destinations, HttpProxy, HttpSettings, PinnedHost, Trusted};
use drplan_api::GoDuration;

pub use election::ElectionOptions;

use crate::{admission::flags::WebhookFlags, listen::Listen, logging::LogLevel};

/// What the process was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "drplan-operator",
    version,
    about = "Runs disaster-recovery plans: watches DRWorkflows, DRPlans and DRPlanExecutions."
)]
pub struct Options {
    /// Which part of it.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the CustomResourceDefinitions, for `kubectl apply -f -`
    Crds,
    /// Run the operator
    ///
    /// Every flag can also be given by the environment variable shown with it; a flag wins. Durations are written as
    /// in Go: 30s, 2m, 1h30m.
    Run(Box<RunOptions>),
}

/// The flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Kubeconfig file of the API server
    ///
    /// Without it: the environment variable KUBECONFIG, else ~/.kube/config, else the cluster in which the operator's
    /// Pod runs.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Look after this namespace only; repeat it, or separate namespaces by commas
    ///
    /// Without it: all namespaces.
    #[arg(
        long = "namespace",
        env = "NAMESPACE",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        value_parser = namespace_name
    )]
    pub namespaces: Vec<String>,

    /// How often everything is listed anew, which catches changes that a watch has missed
    #[arg(long, env, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub reconcile_interval: GoDuration,

    /// How long the API server may be out of reach before running executions count as Unknown
    ///
    /// Only executions with actions in flight. They wait for a person, who looks and then resumes or cancels them.
    #[arg(long, env, value_name = "DURATION", default_value = "2m", value_parser = positive_duration)]
    pub partition_timeout: GoDuration,

    /// How long after its creation an execution may still start
    ///
    /// One that has not started by then fails without any effect, so that an execution which waited through an outage
    /// does not surprise anybody.
    #[arg(long, env, value_name = "DURATION", default_value = "10m", value_parser = positive_duration)]
    pub start_deadline: GoDuration,

    /// How long calls in flight are awaited when the operator is asked to end
    ///
    /// Keep it below the Pod's terminationGracePeriodSeconds, which is 30 unless set. What is not awaited is resolved by
    /// the next operator, as after a crash.
    #[arg(long, env, value_name = "DURATION", default_value = "25s")]
    pub drain_timeout: GoDuration,

    /// How many executions run at once; further ones stay Pending and say so
    #[arg(long, env, value_name = "NUMBER", default_value_t = 500, value_parser = at_least_one)]
    pub max_running: usize,

    /// How many HTTP calls are in flight at once, over all executions; further ones wait and say so
    ///
    /// The default lets a call for every second running execution through. With some 200 KiB for each call's connection,
    /// request and response it takes 50 MiB of a Pod of 128 MiB, and a quarter of the 1024 files that a process may
    /// usually open.
    // 200 KiB: TLS buffers (about 40 KiB), a request body (64 KiB at most), and as much again for it as rendered.
    #[arg(long, env, value_name = "NUMBER", default_value_t = 256, value_parser = at_least_one)]
    pub max_http: usize,

    /// Let HTTP actions go to this host, address or range only; repeat it, or separate by commas
    ///
    /// A host is a name, or with `*.` before it every name below it; a range is `10.0.0.0/8` or `fd00::/8`. A host is
    /// judged by the address that is connected to, in redirects too. Without the flag all are allowed but link-local
    /// addresses and metadata services of clouds. Those are opened by an address or a range for just them, not by a name.
    #[arg(long, env, value_name = "HOST|RANGE", value_delimiter = ',')]
    pub http_allow: Vec<Destination>,

    /// Let no HTTP action go to this host, address or range, whatever --http-allow says; repeat it, or separate by commas
    #[arg(long, env, value_name = "HOST|RANGE", value_delimiter = ',')]
    pub http_deny: Vec<Destination>,

    /// Send every HTTP action through this proxy, such as `http://proxy.example.com:3128`
    ///
    /// Only this flag makes a proxy be used: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are never read. The proxy
    /// looks names up, so --http-allow and --http-deny hold for hosts as they are written; ranges hold for addresses in
    /// URLs only. A proxy that judges addresses itself has to judge the rest.
    // `HTTP_PROXY` is what every proxied container has, for other programs.
    #[arg(
        long,
        env = "DRPLAN_HTTP_PROXY",
        hide_env_values = true,
        value_name = "URL",
        value_parser = ProxyParser,
        conflicts_with = "http_resolve"
    )]
    pub http_proxy: Option<HttpProxy>,

    /// Send HTTP actions for HOST and PORT to ADDRESS, without asking the name service; repeat it, or separate by commas
    ///
    /// As curl's --resolve: the Host header, the name in the certificate and all messages stay those of the URL. The
    /// port stays too, unless ADDRESS has one of its own: `db.example.com:443:10.0.0.7:8443`, or
    /// `db.example.com:443:[fd00::7]:8443`. Several addresses of one HOST and PORT are tried one after another.
    #[arg(long, env, value_name = "HOST:PORT:ADDRESS", value_delimiter = ',')]
    pub http_resolve: Vec<PinnedHost>,

    /// PEM file of certificates that every HTTP action trusts besides the system's
    ///
    /// It is read once, when the operator starts. One action alone trusts more with caBundle.
    #[arg(long, env, value_name = "FILE", value_parser = trusted)]
    pub http_ca: Option<Trusted>,

    /// Which of several processes acts.
    #[command(flatten)]
    pub election: ElectionOptions,

    /// Let plans without a serviceAccountName act with the operator's own rights
    ///
    /// For demos and clusters of a single tenant: whoever may create a plan then has the operator's rights.
    #[arg(long, env, value_parser = truth())]
    pub allow_operator_identity: bool,

    /// The ServiceAccount, in the plan's namespace, that plans without a serviceAccountName act as
    #[arg(
        long,
        env,
        value_name = "NAME",
        default_value = "default",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub default_service_account: String,

    /// Create an execution where a plan is annotated with dr.bkbcs.tencent.com/trigger=execute or =revert
    ///
    /// Revert undoes the last successful Execute that is not undone. Without this flag such an annotation only yields an
    /// event with the DRPlanExecution to create instead. An annotation older than --start-deadline starts nothing.
    #[arg(long, env, value_parser = truth())]
    pub trigger_annotations: bool,

    /// Whether, where and with which certificate webhooks are served.
    #[command(flatten)]
    pub webhook: WebhookFlags,

    /// The least important lines that are logged
    ///
    /// From debug on also what libraries say. Secrets are masked at every level.
    #[arg(
        long,
        env,
        value_name = "LEVEL",
        default_value = "info",
        value_enum,
        ignore_case = true
    )]
    pub log_level: LogLevel,

    /// Where /healthz and /readyz are answered; `[::]` means every address of the machine
    #[arg(long, env, value_name = "ADDRESS:PORT", default_value = "[::]:8081")]
    pub health_bind: SocketAddr,

    /// Where /metrics is answered, for Prometheus; `0` for nowhere
    ///
    /// Whoever reaches it may read it. It holds counts and times, and no names.
    #[arg(long, env, value_name = "ADDRESS:PORT", default_value = "[::]:8080", value_parser = Listen::read)]
    pub metrics_bind: Listen,
}

impl Options {
    /// The process's own command line and environment. Ends the process where that asks for help or is wrong (exit
    /// code 2). An empty environment variable counts as none.
    pub fn read() -> Self {
        let empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let matches = command(empty).get_matches();
        let read = Self::from_arg_matches(&matches).and_then(Self::checked);
        read.unwrap_or_else(|error| error.exit())
    }

    /// The same, if its flags go together.
    fn checked(self) -> Result<Self, clap::Error> {
        let problems = match &self.command {
            Command::Run(options) => options.problems(),
            Command::Crds => Vec::new(),
        };
        if problems.is_empty() {
            return Ok(self);
        }
        Err(Self::command().error(ErrorKind::ArgumentConflict, problems.join("\n")))
    }
}

impl RunOptions {
    /// What flags that are right one by one say together and must not.
    fn problems(&self) -> Vec<String> {
        let both = self
            .http_allow
            .iter()
            .filter(|allowed| self.http_deny.contains(allowed));
        let both = both.map(|both| {
            format!("{both} stands in --http-allow and in --http-deny; take it out of one of them")
        });
        both.chain(self.election.problems()).collect()
    }

    /// How HTTP actions are sent.
    pub fn http_settings(&self) -> HttpSettings {
        HttpSettings {
            destinations: Destinations {
                allow: self.http_allow.clone(),
                deny: self.http_deny.clone(),
            },
            pinned: self.http_resolve.clone(),
            trusted: self.http_ca.clone().unwrap_or_default(),
            proxy: self.http_proxy.clone(),
        }
    }
}

/// Reads a proxy's URL. What clap says of a value that is wrong repeats it, and a password may stand in this one.
#[derive(Clone)]
struct ProxyParser;

impl clap::builder::TypedValueParser for ProxyParser {
    type Value = HttpProxy;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<HttpProxy, clap::Error> {
        let parsed = value.to_string_lossy().parse::<HttpProxy>();
        parsed.map_err(|error| {
            let message = format!("invalid value for '--http-proxy <URL>': {error}\n");
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// The definition of the command line, where the environment variables for which `ignored` holds do not count.
fn command(ignored: impl Fn(&std::ffi::OsStr) -> bool) -> clap::Command {
    Options::command().mut_subcommand("run", |run| {
        run.mut_args(|arg| {
            if arg.get_env().is_some_and(&ignored) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
    })
}

fn positive_duration(text: &str) -> Result<GoDuration, String> {
    match text.parse::<GoDuration>() {
        Ok(duration) if duration.as_millis() == 0 => Err("must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn trusted(file: &str) -> Result<Trusted, String> {
    Trusted::read(file.as_ref()).map_err(|error| error.to_string())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from 1 to {MOST}")),
    }
}

/// Far more than a process can have at once, and few enough for every semaphore.
const MOST: usize = 100_000;

/// `true` and `false`, as the environment of a container has them, and `1` and `0`.
fn truth() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

fn namespace_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_label = (1..=63).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_label {
        Ok(name.to_owned())
    } else {
        Err("not the name of a namespace".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<RunOptions, clap::Error> {
        // Whatever environment the test runs in.
        let matches =
            command(|_| true).try_get_matches_from(["drplan-operator", "run"].iter().chain(args))?;
        match Options::from_arg_matches(&matches)?.checked()?.command {
            Command::Run(options) => Ok(*options),
            Command::Crds => panic!("`run` is what was asked"),
        }
    }

    #[test]
    fn an_election_is_off_by_default_has_the_times_of_kubernetes_and_none_that_let_two_lead() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.election.lease(), None);
        let options = parse(&["--leader-elect"]).unwrap();
        let lease = options.election.lease().unwrap();
        assert_eq!(
            (lease.namespace.as_str(), lease.name.as_str()),
            ("drplan-system", "drplan-operator")
        );
        let timing = options.election.timing();
        let seconds =
            [timing.lease_duration, timing.renew_deadline, timing.retry_period].map(|one| one.as_secs());
        assert_eq!(seconds, [15, 10, 2]);
        let wrong = [
            "--leader-elect",
            "--leader-elect-lease-duration=5s",
            "--leader-elect-retry-period=10s",
        ];
        let error = parse(&wrong).unwrap_err().to_string();
        assert!(
            error.contains("two processes lead at once") && error.contains("ends the term"),
            "{error}"
        );
        assert!(parse(&wrong[1..]).is_ok());
    }

    /// Covers EC-2.
    #[test]
    fn without_flags_the_documented_defaults_hold() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.kubeconfig, None);
        assert_eq!(options.namespaces, Vec::<String>::new());
        assert_eq!(options.reconcile_interval, GoDuration::from_secs(30));
        assert_eq!(options.partition_timeout, GoDuration::from_secs(120));
        assert_eq!(options.start_deadline, GoDuration::from_secs(600));
        assert_eq!(options.drain_timeout, GoDuration::from_secs(25));
        assert_eq!((options.max_running, options.max_http), (500, 256));
        assert!(options.http_resolve.is_empty());
        assert!(options.http_ca.is_none() && options.http_proxy.is_none());
        assert!(options.http_allow.is_empty() && options.http_deny.is_empty());
        assert!(!options.allow_operator_identity && !options.trigger_annotations);
        assert_eq!(options.default_service_account, "default");
        assert_eq!(options.log_level, LogLevel::Info);
        assert_eq!(options.health_bind.to_string(), "[::]:8081");
        assert_eq!(options.metrics_bind, Listen::read("[::]:8080").unwrap());
    }

    #[test]
    fn namespaces_are_repeated_or_separated_by_commas() {
        let options = parse(&["--namespace", "a", "--namespace=b, c"]).unwrap();
        assert_eq!(options.namespaces, ["a", "b", "c"]);
    }

    #[test]
    fn flags_are_read() {
        let options = parse(&[
            "--kubeconfig=/etc/kubeconfig",
            "--partition-timeout=500ms",
            "--drain-timeout=0",
            "--max-http=1",
            "--http-resolve=a.example:443:10.0.0.7,b.example:443:[::1]:8443",
            "--http-resolve=c.example:80:10.0.0.8",
            "--http-allow=*.example.com, 10.0.0.0/8",
            "--http-allow=::1",
            "--http-deny=10.0.0.7",
            "--allow-operator-identity",
            "--log-level=DEBUG",
            "--health-bind=127.0.0.1:0",
            "--metrics-bind=",
        ])
        .unwrap();
        assert_eq!(options.kubeconfig, Some(PathBuf::from("/etc/kubeconfig")));
        assert_eq!(options.partition_timeout.as_millis(), 500);
        assert_eq!(options.drain_timeout.as_millis(), 0);
        assert_eq!(options.max_http, 1);
        assert_eq!(options.http_resolve.len(), 3);
        assert_eq!((options.http_allow.len(), options.http_deny.len()), (3, 1));
        assert!(options.allow_operator_identity);
        assert_eq!(options.log_level, LogLevel::Debug);
        assert_eq!(options.health_bind.to_string(), "127.0.0.1:0");
        assert_eq!(options.metrics_bind, Listen::Off);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        let check = |arg: &str, reason: &str| {
            let error = parse(&[arg]).expect_err(arg).to_string();
            assert!(error.contains(reason), "{error}");
        };
        check("--reconcile-interval=0s", "must be more than zero");
        check("--partition-timeout=2", "write a number and a unit");
        check("--start-deadline=-5m", "negative");
        check("--max-running=0", "must be a number from 1");
        check("--max-http=many", "must be a number from 1");
        check("--http-resolve=a.example:10.0.0.7", "is not HOST:PORT:ADDRESS");
        check("--http-allow=https://a.example", "write the host of a URL alone");
        check("--http-allow=a.example,,b.example", "there is nothing");
        check("--http-deny=10.0.0.7/8", "write 10.0.0.0/8");
        check("--http-deny=*", "0.0.0.0/0 and ::/0");
        check(
            "--http-proxy=proxy:3128",
            "not a proxy, such as http://proxy.example.com:3128",
        );
        check("--http-ca=/nowhere/ca.pem", "failed to read `/nowhere/ca.pem`");
        check("--namespace=Shop", "not the name of a namespace");
        check("--namespace=a,,b", "not the name of a namespace");
        check("--default-service-account=", "value is required");
        check(
            "--log-level=loud",
            "possible values: error, warn, info, debug, trace",
        );
        check("--health-bind=8081", "invalid socket address");
        check("--metrics-bind=8080", "write ADDRESS:PORT such as [::]:8080");
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        let check = |args: &[&str], reason: &str| {
            let error = parse(args).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        };
        let both = "a.example stands in --http-allow and in --http-deny";
        check(&["--http-allow=b,A.example", "--http-deny=a.example."], both);
        let pinned = "--http-resolve=a.example:443:10.0.0.7";
        check(&["--http-proxy=http://proxy:3128", pinned], "cannot be used with");
    }

    #[test]
    fn a_proxys_password_is_in_no_message() {
        let error = parse(&["--http-proxy=http://user:s3cret@proxy:3128/path"]).expect_err("it has a path");
        let message = error.to_string();
        assert!(
            message.contains("--http-proxy") && !message.contains("s3cret"),
            "{message}"
        );
        let options = parse(&["--http-proxy=http://user:s3cret@proxy:3128"]).unwrap();
        let shown = format!("{options:?}");
        assert!(
            shown.contains("proxy:3128") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn every_flag_but_kubeconfig_has_an_environment_variable_of_its_name() {
        let command = Options::command();
        let run = command.find_subcommand("run").unwrap();
        for arg in run.get_arguments() {
            let Some(flag) = arg.get_long() else { continue };
            let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
            let expected = match flag {
                "kubeconfig" => None,
                // The name that would follow is every proxied container's.
                "http-proxy" => Some("DRPLAN_HTTP_PROXY".to_owned()),
                flag => Some(flag.to_uppercase().replace('-', "_")),
            };
            assert_eq!(env, expected, "--{flag}");
            assert!(arg.get_help().is_some(), "--{flag}");
        }
        command.debug_assert();
    }
}
