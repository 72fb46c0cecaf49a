//! Chances: how often a statistic is as great as one that was found if nothing is behind it.

/// The chance that a standard normal variable is as far from zero as `z`, on either side.
///
/// The complementary error function is the rational approximation of Press et al., *Numerical
/// Recipes*, section 6.2: it is right to 1.2·10⁻⁷ of itself however small it is.
pub(crate) fn two_sided(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let terms = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let polynomial = terms.into_iter().fold(0.0, |sum, term| sum * t + term);
    (t * (polynomial - x * x).exp()).min(1.0)
}

/// The standard normal variable that is as improbable as Student's `t` with so many degrees of
/// freedom (Wallace 1959, "Bounds on Normal Approximations to Student's and the Chi-Square
/// Distributions"); right to some hundredths of the chance where it matters.
pub(crate) fn normal_of_t(t: f64, freedom: f64) -> f64 {
    let z = (freedom * (t * t / freedom).ln_1p()).sqrt();
    z.copysign(t) * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
}

/// The chance that the empirical distribution of `count` independent values is as far from the
/// true one as `distance` somewhere: Kolmogorov's test, with the correction for few values of
/// Stephens (1970, "Use of the Kolmogorov–Smirnov, Cramér–von Mises and Related Statistics
/// Without Extensive Tables").
pub(crate) fn kolmogorov(distance: f64, count: f64) -> f64 {
    let root = count.sqrt();
    let scaled = (root + 0.12 + 0.11 / root) * distance;
    // Below it the chance is 1 to nine digits, and the series converges too slowly.
    if scaled.is_nan() || scaled < 0.3 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        let size = (-2.0 * k * k * scaled * scaled).exp();
        if k % 2.0 == 0.0 { -size } else { size }
    };
    (2.0 * (1..=20).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// The distance that [`kolmogorov`] gives so small a chance; `chance` is below a tenth, so that
/// the first term of the series is all that matters.
pub(crate) fn kolmogorov_limit(chance: f64, count: f64) -> f64 {
    let root = count.sqrt();
    ((chance / 2.0).ln() / -2.0).sqrt() / (root + 0.12 + 0.11 / root)
}

#[cfg(test)]
mod tests {
    use super::{kolmogorov, kolmogorov_limit, normal_of_t, two_sided};
    use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

    #[test]
    fn the_normal_tail_is_that_of_the_tables() {
        let normal = Normal::new(0.0, 1.0).expect("standard");
        for z in [0.0, 0.5, 1.0, 1.96, 2.5758, 3.2905, 5.0, 7.0] {
            let exact = 2.0 * normal.sf(z);
            assert!((two_sided(z) / exact - 1.0).abs() < 1e-6, "{z}");
            assert!((two_sided(-z) - two_sided(z)).abs() < 1e-15);
        }
    }

    #[test]
    fn students_t_becomes_normal() {
        for (freedom, worst) in [(5.0, 0.07), (9.0, 0.02), (30.0, 0.005)] {
            let student = StudentsT::new(0.0, 1.0, freedom).expect("a distribution");
            for t in [0.5, 1.0, 2.0, 3.0, 4.0] {
                let exact = 2.0 * student.sf(t);
                let ours = two_sided(normal_of_t(t, freedom));
                assert!((ours / exact - 1.0).abs() < worst, "{t} {freedom}: {ours} {exact}");
                assert!(normal_of_t(-t, freedom) < 0.0);
            }
        }
    }

    #[test]
    fn kolmogorov_has_its_published_critical_values() {
        // Smirnov 1948: λ = 1.3581 at 5 %, 1.6276 at 1 %, 1.9495 at 0.1 %.
        for (scaled, chance) in [(1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)] {
            let many = 1e10_f64;
            let found = kolmogorov(scaled / many.sqrt(), many);
            assert!((found / chance - 1.0).abs() < 0.002, "{scaled}: {found}");
        }
        // Massey 1951: 0.409 for ten values at 5 %.
        assert!((kolmogorov(0.409, 10.0) - 0.05).abs() < 0.003);
        assert!((kolmogorov(0.0, 10.0) - 1.0).abs() < 1e-12);
        assert!((kolmogorov(f64::NAN, 0.0) - 1.0).abs() < 1e-12);
        for (chance, count) in [(0.05, 40.0), (0.001, 500.0), (1e-9, 1e7)] {
            let found = kolmogorov(kolmogorov_limit(chance, count), count);
            assert!((found / chance - 1.0).abs() < 1e-3, "{chance}: {found}");
        }
    }
}
