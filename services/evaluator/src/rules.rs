//! Tenants' compiled rules, kept from cycle to cycle and renewed when the store says that they changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use pulse_domain::evaluation::RuleSet;
use pulse_domain::ids::{RuleId, TenantId};
use pulse_domain::rule::{InvalidRule, Rule};
use pulse_runtime::{Chain, Spans};
use pulse_store::{RulesVersion, SharedStore};

/// The name of the store's call in spans.
const RULES_OF: &str = "rules_of";
/// The most rules that are kept compiled, over all tenants, a tenant without any counting as one; those longest not needed go first.
const RULES_KEPT_MAX: u64 = 200_000;

/// One tenant's rules, ready to judge by.
#[derive(Debug)]
pub(crate) struct TenantRules {
    pub(crate) set: RuleSet,
    /// How many rules were left out because they make no sense.
    pub(crate) invalid: u64,
}

/// The rules of a batch's tenants. A tenant is missing when its rules could not be read.
pub(crate) type BatchRules = HashMap<TenantId, Arc<TenantRules>>;

#[derive(Debug, Clone)]
struct Kept {
    version: i64,
    rules: Arc<TenantRules>,
}

/// The compiled rules of the tenants seen lately.
#[derive(Debug)]
pub(crate) struct RuleCache {
    store: SharedStore,
    spans: Spans,
    kept: Cache<TenantId, Kept>,
    /// Tenants whose rules could not be read, with the version that was logged.
    unreadable: Mutex<HashMap<TenantId, i64>>,
}

impl RuleCache {
    pub(crate) fn new(store: SharedStore, spans: Spans) -> Self {
        let weigh = |_: &TenantId, kept: &Kept| u32::try_from(kept.rules.set.len()).unwrap_or(u32::MAX).max(1);
        let kept = Cache::builder().max_capacity(RULES_KEPT_MAX).weigher(weigh).eviction_policy(EvictionPolicy::lru()).build();
        Self { store, spans, kept, unreadable: Mutex::default() }
    }

    /// The rules at these versions or later: one statement for all that changed.
    ///
    /// # Errors
    /// When the store is not available. Rules of one tenant that cannot be read only leave that tenant out.
    pub(crate) async fn of(&self, versions: &[RulesVersion]) -> pulse_store::Result<BatchRules> {
        let mut found = BatchRules::with_capacity(versions.len());
        let mut changed = Vec::new();
        for current in versions {
            match self.kept.get(&current.tenant_id) {
                Some(kept) if kept.version == current.version => {
                    found.insert(current.tenant_id.clone(), kept.rules);
                }
                _ => changed.push(current),
            }
        }
        if !changed.is_empty() {
            self.renew(&changed, &mut found).await?;
        }
        Ok(found)
    }

    async fn renew(&self, changed: &[&RulesVersion], found: &mut BatchRules) -> pulse_store::Result<()> {
        let tenants: Vec<TenantId> = changed.iter().map(|current| current.tenant_id.clone()).collect();
        match self.spans.query(RULES_OF, tenants.len(), self.store.rules_of(&tenants)).await {
            Ok(rules) => {
                let mut by_tenant: HashMap<TenantId, Vec<Rule>> = HashMap::new();
                for rule in rules {
                    by_tenant.entry(rule.tenant_id.clone()).or_default().push(rule);
                }
                for current in changed {
                    let rules = by_tenant.remove(&current.tenant_id).unwrap_or_default();
                    found.insert(current.tenant_id.clone(), self.compile(current, &rules).await);
                }
                Ok(())
            }
            Err(error) if error.is_transient() => Err(error),
            Err(_) => self.renew_one_by_one(changed, found).await,
        }
    }

    /// Some tenant's rules cannot be read: the others' can.
    async fn renew_one_by_one(&self, changed: &[&RulesVersion], found: &mut BatchRules) -> pulse_store::Result<()> {
        for current in changed {
            let rules = self.store.rules_of(std::slice::from_ref(&current.tenant_id));
            match self.spans.query(RULES_OF, 1, rules).await {
                Ok(rules) => {
                    found.insert(current.tenant_id.clone(), self.compile(current, &rules).await);
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => self.log_unreadable(current, &error),
            }
        }
        Ok(())
    }

    async fn compile(&self, current: &RulesVersion, rules: &[Rule]) -> Arc<TenantRules> {
        let (set, invalid) = RuleSet::compile(rules);
        self.show_errors(rules, &invalid).await;
        let rules = Arc::new(TenantRules { set, invalid: invalid.len() as u64 });
        self.kept.insert(current.tenant_id.clone(), Kept { version: current.version, rules: Arc::clone(&rules) });
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).remove(&current.tenant_id);
        rules
    }

    /// Shows on each rule why it is left out, or that it no longer is; what is shown already was logged already.
    async fn show_errors(&self, rules: &[Rule], invalid: &[(RuleId, InvalidRule)]) {
        let reasons: HashMap<RuleId, String> = invalid.iter().map(|(rule_id, reason)| (*rule_id, reason.to_string())).collect();
        for rule in rules {
            let reason = reasons.get(&rule.rule_id);
            if rule.error.as_ref() == reason {
                continue;
            }
            if let Some(reason) = reason {
                tracing::warn!(tenant_id = %rule.tenant_id, rule_id = %rule.rule_id, reason, "a rule makes no sense and is left out");
            }
            if let Err(error) = self.store.set_rule_error(&rule.tenant_id, rule.rule_id, reason.map(String::as_str)).await {
                tracing::warn!(tenant_id = %rule.tenant_id, rule_id = %rule.rule_id, error = %Chain(&error), "a rule's error cannot be shown on it");
            }
        }
    }

    fn log_unreadable(&self, current: &RulesVersion, error: &pulse_store::Error) {
        let logged = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(current.tenant_id.clone(), current.version);
        if logged != Some(current.version) {
            tracing::error!(tenant_id = %current.tenant_id, error = %Chain(error), "a tenant's rules cannot be read: its devices wait");
        }
    }
}
