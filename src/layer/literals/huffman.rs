//! Codes that are the shorter the more often a symbol occurs.

/// The code of a symbol, its first bit lowest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) length: u8,
}

/// Gives the lengths of the codes for symbols that occur so often: at most `max`, 0 for what does
/// not occur.
pub(super) fn lengths(counts: &[u32], max: u8) -> Vec<u8> {
    let mut used: Vec<(u32, usize)> = Vec::with_capacity(counts.len());
    used.extend((0..).zip(counts).filter_map(|(symbol, count)| {
        let occurs = *count > 0;
        occurs.then_some((*count, symbol))
    }));
    loop {
        used.sort_unstable();
        let sorted: Vec<u32> = used.iter().map(|(count, _)| *count).collect();
        let depths = depths(&sorted);
        if depths.iter().all(|depth| *depth <= u32::from(max)) {
            let mut lengths = vec![0; counts.len()];
            for ((_, symbol), depth) in used.iter().zip(depths) {
                lengths[*symbol] = u8::try_from(depth).expect("no depth is above the maximum");
            }
            return lengths;
        }
        // The rarer ones come up; equal counts in the end make all codes about equally long.
        used.iter_mut()
            .for_each(|(count, _)| *count = *count / 2 + 1);
    }
}

/// Gives how deep each of the leaves lies in the tree of Huffman; their weights come in order.
fn depths(weights: &[u32]) -> Vec<u32> {
    if weights.len() < 2 {
        return vec![1; weights.len()];
    }
    // Nodes come up in the order of their weights, so that the lightest is always the first of
    // the leaves or of the nodes that are left.
    let nodes = weights.len() - 1;
    let mut sums: Vec<u64> = Vec::with_capacity(nodes);
    let mut leaf_parents = vec![0; weights.len()];
    let mut node_parents = vec![0; nodes];
    let (mut leaf, mut node) = (0, 0);
    for parent in 0..nodes {
        let mut sum = 0;
        for _ in 0..2 {
            let is_leaf =
                leaf < weights.len() && (node == parent || u64::from(weights[leaf]) <= sums[node]);
            if is_leaf {
                sum += u64::from(weights[leaf]);
                leaf_parents[leaf] = parent;
                leaf += 1;
            } else {
                sum += sums[node];
                node_parents[node] = parent;
                node += 1;
            }
        }
        sums.push(sum);
    }
    let mut node_depths = vec![0; nodes];
    for node in (0..nodes - 1).rev() {
        node_depths[node] = node_depths[node_parents[node]] + 1;
    }
    let leaves = leaf_parents.iter();
    leaves.map(|parent| node_depths[*parent] + 1).collect()
}

/// Gives the codes of these lengths; RFC 1951, 3.2.2.
pub(super) fn codes(lengths: &[u8]) -> Vec<Code> {
    let mut next = [0_u16; 17];
    for length in lengths.iter().filter(|length| **length > 0) {
        next[usize::from(*length) + 1] += 1;
    }
    for length in 1..next.len() {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    let code = |length: &u8| {
        if *length == 0 {
            return Code::default();
        }
        let next = &mut next[usize::from(*length)];
        let bits = next.reverse_bits() >> (16 - length);
        *next += 1;
        Code {
            bits,
            length: *length,
        }
    };
    lengths.iter().map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::lengths;

    #[test]
    fn codes_are_not_too_long_and_none_is_wasted() {
        let mut counts = vec![1, 1];
        while counts.len() < 30 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        for max in [7, 14, 30] {
            let lengths = lengths(&counts, max);
            let taken: u64 = lengths.iter().map(|length| 1 << (max - length)).sum();
            assert_eq!(taken, 1 << max, "{lengths:?}");
        }
    }
}
