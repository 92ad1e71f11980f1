//! A table as a file in the form of `sacctmgr dump`.

use std::fmt;

use super::{Accounts, Association, Fairshare, Limits, Most, Qos, QosPreemption, TresLimits};
use crate::{config::PreemptMode, time::Span};

/// The options of a line, as `:Key=value` each.
struct Options<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Options<'_, '_> {
    fn number(&mut self, key: &str, number: Option<u32>) -> fmt::Result {
        number.map_or(Ok(()), |number| write!(self.0, ":{key}={number}"))
    }

    fn quoted(&mut self, key: &str, text: &str) -> fmt::Result {
        match text {
            "" => Ok(()),
            text if text.contains('\'') => write!(self.0, ":{key}=\"{text}\""),
            text => write!(self.0, ":{key}='{text}'"),
        }
    }

    fn tres(&mut self, key: &str, tres: &TresLimits) -> fmt::Result {
        match tres.to_string() {
            text if text.is_empty() => Ok(()),
            // The type of a resource stands behind a colon.
            text if text.contains(':') => self.quoted(key, &text),
            text => write!(self.0, ":{key}={text}"),
        }
    }

    fn limits(&mut self, limits: &Limits) -> fmt::Result {
        let Limits { grp_jobs, grp_submit_jobs, grp_tres, .. } = limits;
        self.number("GrpJobs", *grp_jobs)?;
        self.number("GrpSubmitJobs", *grp_submit_jobs)?;
        self.tres("GrpTRES", grp_tres)?;
        self.tres("MaxTRESPerJob", &limits.max_tres_per_job)?;
        self.tres("MaxTRESPerNode", &limits.max_tres_per_node)?;
        self.number("MaxWallDurationPerJob", limits.max_wall)
    }

    fn most(&mut self, suffix: &str, most: &Most) -> fmt::Result {
        self.number(&format!("MaxJobs{suffix}"), most.jobs)?;
        self.number(&format!("MaxSubmitJobs{suffix}"), most.submit_jobs)?;
        self.tres(&format!("MaxTRES{suffix}"), &most.tres)
    }

    fn association(&mut self, association: &Association) -> fmt::Result {
        let Association { fairshare, priority, limits, most, qos, default_qos, .. } = association;
        self.quoted("DefaultQOS", default_qos.as_deref().unwrap_or_default())?;
        match fairshare {
            Fairshare::Shares(shares) => write!(self.0, ":Fairshare={shares}")?,
            Fairshare::Parent => self.0.write_str(":Fairshare=parent")?,
        }
        self.limits(limits)?;
        self.most("", most)?;
        self.number("Priority", Some(*priority).filter(|priority| *priority > 0))?;
        match qos {
            Some(qos) => {
                let names: Vec<&str> = qos.iter().map(String::as_str).collect();
                write!(self.0, ":QOS='{}'", names.join(","))
            }
            None => Ok(()),
        }
    }

    fn preemption(&mut self, preemption: &QosPreemption) -> fmt::Result {
        let QosPreemption { preempts, mode, grace_time, exempt } = preemption;
        self.number("GraceTime", Some(*grace_time).filter(|seconds| *seconds > 0))?;
        let names: Vec<&str> = preempts.iter().map(String::as_str).collect();
        self.quoted("Preempt", &names.join(","))?;
        self.quoted("PreemptMode", mode.map_or("", PreemptMode::as_str))?;
        let exempt = exempt.map(|seconds| Span::from_seconds(u64::from(seconds)).padded());
        self.quoted("PreemptExemptTime", exempt.as_deref().unwrap_or_default())
    }

    fn qos(&mut self, qos: &Qos) -> fmt::Result {
        self.quoted("Description", &qos.description)?;
        self.quoted("Flags", &qos.flags())?;
        self.limits(&qos.limits)?;
        self.most("PerUser", &qos.per_user)?;
        self.most("PerAccount", &qos.per_account)?;
        self.tres("MinTRESPerJob", &qos.min_tres_per_job)?;
        self.preemption(&qos.preemption)?;
        self.number("Priority", Some(qos.priority).filter(|priority| *priority > 0))?;
        match qos.usage_factor {
            Some(factor) => {
                write!(self.0, ":UsageFactor={}.{:06}", factor / 1_000_000, factor % 1_000_000)
            }
            None => Ok(()),
        }
    }
}

impl Accounts {
    /// The children of an account, behind the line that says whose they are.
    fn children(&self, f: &mut fmt::Formatter<'_>, at: usize) -> fmt::Result {
        let below = |one: &&Association| one.parent.is_some_and(|above| above as usize == at);
        let mut children = self.associations().iter().filter(below).peekable();
        if children.peek().is_none() && at > 0 {
            return Ok(());
        }
        writeln!(f, "Parent - '{}'", self.associations()[at].account)?;
        for child in children {
            match &child.user {
                Some(user) => {
                    write!(f, "User - '{user}'")?;
                    let mut options = Options(f);
                    options.quoted("Partition", child.partition.as_deref().unwrap_or_default())?;
                    let account = self.default_account(user).unwrap_or_default();
                    options.quoted("DefaultAccount", account)?;
                }
                None => {
                    write!(f, "Account - '{}'", child.account)?;
                    let known = self.parts.accounts.iter().find(|one| one.name == child.account);
                    let mut options = Options(f);
                    options.quoted("Description", known.map_or("", |one| &one.description))?;
                    options.quoted("Organization", known.map_or("", |one| &one.organization))?;
                }
            }
            Options(f).association(child)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for qos in &self.parts.qos {
            write!(f, "QOS - '{}'", qos.name)?;
            Options(f).qos(qos)?;
            writeln!(f)?;
        }
        write!(f, "Cluster - '{}'", self.parts.cluster)?;
        Options(f).association(&self.associations()[0])?;
        writeln!(f)?;
        let accounts = self.associations().iter().enumerate().filter(|(_, one)| one.user.is_none());
        for (at, _) in accounts {
            self.children(f, at)?;
        }
        Ok(())
    }
}
