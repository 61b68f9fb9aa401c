//! The flags of the election.

use std::time::Duration;

use clap::{Args, builder::NonEmptyStringValueParser};
use drplan_api::GoDuration;

use super::{positive_duration, truth};
use crate::leadership::{LeaseName, Timing};

/// Which of several processes acts. The flags are named as those of Kubernetes' own controllers.
#[derive(Args, Clone, Debug)]
pub struct ElectionOptions {
    /// Let only the process act that holds the lease; the others stand by
    ///
    /// Needed where more than one operator runs. Without it this process acts from its start.
    #[arg(long, env, value_parser = truth())]
    pub leader_elect: bool,

    /// How long the others wait, after the lease was last renewed, before they take it
    #[arg(long, env, value_name = "DURATION", default_value = "15s", value_parser = positive_duration)]
    pub leader_elect_lease_duration: GoDuration,

    /// How long the process that holds the lease acts without renewing it; shorter than the lease duration
    #[arg(long, env, value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub leader_elect_renew_deadline: GoDuration,

    /// Between two tries to take or renew the lease
    #[arg(long, env, value_name = "DURATION", default_value = "2s", value_parser = positive_duration)]
    pub leader_elect_retry_period: GoDuration,

    /// The name of the lease
    #[arg(
        long,
        env,
        value_name = "NAME",
        default_value = "drplan-operator",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub leader_elect_resource_name: String,

    /// The namespace of the lease: that of the operator's Pod
    #[arg(
        long,
        env,
        value_name = "NAMESPACE",
        default_value = "drplan-system",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub leader_elect_resource_namespace: String,
}

impl ElectionOptions {
    /// The lease to stand for; none without an election.
    pub fn lease(&self) -> Option<LeaseName> {
        self.leader_elect.then(|| LeaseName {
            namespace: self.leader_elect_resource_namespace.clone(),
            name: self.leader_elect_resource_name.clone(),
        })
    }

    /// What is wrong with the times, if there is an election.
    pub(super) fn problems(&self) -> Vec<String> {
        match self.leader_elect {
            true => self.timing().problems(),
            false => Vec::new(),
        }
    }

    /// Its times.
    pub fn timing(&self) -> Timing {
        let duration = |duration: GoDuration| Duration::from_millis(duration.as_millis());
        Timing {
            lease_duration: duration(self.leader_elect_lease_duration),
            renew_deadline: duration(self.leader_elect_renew_deadline),
            retry_period: duration(self.leader_elect_retry_period),
        }
    }
}
