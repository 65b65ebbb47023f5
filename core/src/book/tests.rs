use super::*;
use crate::file::FileError;
use crate::testing::TestRng;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec as StdVec;

#[test]
fn a_book_within_the_limits_is_accepted_and_beyond_them_refused() {
    #[rustfmt::skip]
    let cases = [
        ( 1, 1000, 6, 100, 10_000..=32_767, None),
        ( 2, 0, 6, 100, 10_000..=32_767, Some(ShapeError::Count)),
        ( 3, 1, 6, 100, 10_000..=32_767, None),
        ( 4, 65_536, 6, 100, 10_000..=32_767, None),
        ( 5, 65_537, 6, 100, 10_000..=32_767, Some(ShapeError::Count)),
        ( 6, 1000, 2, 100, 10_000..=32_767, Some(ShapeError::Length)),
        ( 7, 1000, 3, 100, 10_000..=32_767, None),
        ( 8, 1000, 16, 100, 10_000..=32_767, None),
        ( 9, 1000, 17, 100, 10_000..=32_767, Some(ShapeError::Length)),
        (10, 1000, 6, 15, 10_000..=32_767, Some(ShapeError::Decoys)),
        (11, 1000, 6, 16, 10_000..=32_767, None),
        (12, 1000, 6, 1024, 10_000..=32_767, None),
        (13, 1000, 6, 1025, 10_000..=32_767, Some(ShapeError::Decoys)),
        (14, 1000, 16, 16, 10_000..=32_767, None),
        (15, 1000, 6, 100, 0..=32_767, Some(ShapeError::Ports)),
        (16, 1000, 6, 100, 1..=65_535, None),
        (17, 1000, 6, 100, RangeInclusive::new(20_000, 19_999), Some(ShapeError::Ports)),
        (18, 1000, 6, 100, 10_000..=10_098, Some(ShapeError::TooFewPorts)),
        (19, 1000, 6, 100, 10_000..=10_099, None),
        (20, 1000, 6, 100, 65_436..=65_535, None),
        (21, u32::MAX, u8::MAX, u16::MAX, u16::MAX..=u16::MAX, Some(ShapeError::Count)),
    ];
    for (case, count, length, decoys, ports, error) in cases {
        assert_eq!(Shape::new(count, length, decoys, ports).err(), error, "case {case}");
    }
}

#[test]
fn every_shape_error_says_what_is_allowed() {
    #[rustfmt::skip]
    let cases = [
        (ShapeError::Count, "a book has 1 to 65536 knocks"),
        (ShapeError::Length, "a sequence has 3 to 16 ports"),
        (ShapeError::Decoys, "a gate has 16 to 1024 decoys"),
        (ShapeError::LengthAboveDecoys, "a sequence cannot have more ports than there are decoys"),
        (ShapeError::Ports, "the port range begins at 1 or later and does not end before it begins"),
        (ShapeError::TooFewPorts, "the port range has fewer ports than there are decoys"),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_keyspace_is_the_number_of_ordered_draws() {
    #[rustfmt::skip]
    let cases = [
        (1, 6, 100, Order::Strict, 858_277_728_000.0),     // 100! / 94!
        (2, 6, 100, Order::Any, 1_192_052_400.0),          // 100 choose 6, the figure of the paper
        (3, 7, 100, Order::Strict, 80_678_106_432_000.0),  // 100! / 93!
        (4, 3, 16, Order::Strict, 3_360.0),
        (5, 3, 16, Order::Any, 560.0),
        (6, 16, 16, Order::Strict, 20_922_789_888_000.0),  // 16!
        (7, 16, 16, Order::Any, 1.0),
    ];
    for (case, length, decoys, order, keyspace) in cases {
        assert_eq!(shape(1000, length, decoys).keyspace(order), keyspace, "case {case}");
    }
}

#[test]
fn a_book_is_low_when_a_tenth_is_left_or_twenty_knocks() {
    #[rustfmt::skip]
    let cases = [
        (1, 1000, 101, false),
        (2, 1000, 100, true),
        (3, 100, 21, false),
        (4, 100, 20, true),
        (5, 20, 11, false),
        (6, 20, 10, true),
        (7, 1, 1, false),
        (8, 1, 0, true),
        (9, 65_536, 6_553, true),
    ];
    for (case, count, left, low) in cases {
        assert_eq!(shape(count, 6, 100).is_low(left), low, "case {case}");
    }
}

proptest! {
    #[test]
    fn decoys_are_distinct_ascending_and_within_the_range(shape in shapes(), seed: [u8; 32]) {
        let drawn = Decoys::draw(&DecoySeed::from_bytes(seed), &shape);

        prop_assert_eq!(drawn.ports().len(), usize::from(shape.decoys()));
        prop_assert!(drawn.ports().is_sorted_by(|low, high| low < high));
        prop_assert!(drawn.ports().iter().all(|port| shape.ports().contains(port) && drawn.contains(*port)));
        let others = (0..=u16::MAX).filter(|port| drawn.contains(*port)).count();
        prop_assert_eq!(others, drawn.ports().len(), "a port is a decoy exactly if it was drawn");
    }

    #[test]
    fn every_number_of_a_book_gives_distinct_decoys_and_no_number_past_its_end_does(
        shape in shapes(), decoy_seed: [u8; 32], seed: u64, number: u32,
    ) {
        let book = Book::generate(shape, DecoySeed::from_bytes(decoy_seed), &mut TestRng::new(seed));
        let decoys = book.decoys();
        let last = shape.count() - 1;

        for number in [0, number % shape.count(), last] {
            let sequence = book.sequence(number, &decoys).expect("the number is in the book");
            prop_assert_eq!(sequence.len(), usize::from(shape.length()));
            prop_assert!(sequence.iter().all(|port| decoys.contains(*port)));
            prop_assert_eq!(BTreeSet::from_iter(&sequence).len(), sequence.len(), "distinct");
            prop_assert_eq!(Some(sequence), book.sequence(number, &decoys), "the same again");
        }
        for number in [shape.count(), shape.count().saturating_add(number), u32::MAX] {
            prop_assert_eq!(book.sequence(number, &decoys), None);
        }
    }

    #[test]
    fn a_book_read_from_its_file_has_the_same_sequences(shape in shapes(), decoy_seed: [u8; 32], seed: u64) {
        let book = Book::generate(shape, DecoySeed::from_bytes(decoy_seed), &mut TestRng::new(seed));
        let mut buffer = [0; Book::MAX_FILE];

        let read = Book::decode(book.encode(&mut buffer).unwrap()).unwrap();

        prop_assert_eq!(read.id(), book.id());
        prop_assert_eq!(read.shape(), book.shape());
        let (decoys, last) = (read.decoys(), shape.count() - 1);
        prop_assert_eq!(&decoys, &book.decoys());
        prop_assert_eq!(read.sequence(last, &decoys), book.sequence(last, &decoys));
    }

    #[test]
    fn no_bytes_make_the_reader_of_books_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        prop_assert!(Book::decode(&bytes).is_err());
    }
}

#[test]
fn all_sequences_of_a_book_are_different() {
    let book = book(shape(1000, 6, 100));
    let decoys = book.decoys();
    let all: BTreeSet<StdVec<u16>> =
        (0..1000).map(|number| book.sequence(number, &decoys).unwrap().to_vec()).collect();
    // Among 1000 draws out of 8.58e11 two equal ones have a chance below one in a million.
    assert_eq!(all.len(), 1000);
}

#[test]
fn two_books_of_one_gate_share_its_decoys_and_no_sequence() {
    let (shape, seed) = (shape(100, 6, 100), DecoySeed::from_bytes([5; 32]));
    let mut rng = TestRng::new(1);
    let (one, other) = (Book::generate(shape, seed.clone(), &mut rng), Book::generate(shape, seed, &mut rng));
    let decoys = one.decoys();

    assert_eq!(decoys, other.decoys());
    assert_ne!(one.id(), other.id());
    assert!((0..100).all(|number| one.sequence(number, &decoys) != other.sequence(number, &decoys)));
}

#[test]
fn a_book_has_no_sequence_over_too_few_decoys() {
    let (small, large) = (book(shape(10, 3, 16)), book(shape(10, 16, 16)));
    let too_few = Decoys(small.decoys().ports().iter().copied().take(15).collect());
    assert_eq!(large.sequence(0, &too_few), None);
    assert!(small.sequence(0, &too_few).is_some());
}

#[test]
fn the_largest_shape_has_the_most_decoys_even_if_it_takes_every_port() {
    let shape = Shape::new(65_536, 16, 1024, 64_512..=65_535).unwrap();
    let book = book(shape);
    assert_eq!(book.decoys().ports(), (64_512..=65_535).collect::<StdVec<u16>>());
    assert_eq!(book.sequence(65_535, &book.decoys()).unwrap().len(), MAX_SEQUENCE);
}

#[test]
fn the_longest_book_fits_its_buffer() {
    let book = book(Shape::new(65_536, 16, 1024, 64_512..=65_535).unwrap());
    let mut buffer = [0; Book::MAX_FILE];
    assert_eq!(book.encode(&mut buffer).unwrap().len(), 97);
    assert_eq!(book.encode(&mut [0; 96]), Err(FileError::TooLong));
}

mod fairness {
    use super::*;

    /// Beyond it, a fair draw out of a hundred falls once in eight million runs (chi-square, 99 degrees of freedom).
    const UNFAIR_OF_100: f64 = 190.0;

    #[test]
    fn every_decoy_is_as_likely_at_every_place_of_a_sequence() {
        let book = book(shape(20_000, 6, 100));
        let decoys = book.decoys();
        let mut seen = [[0u32; 100]; 6];
        for number in 0..20_000 {
            for (place, port) in book.sequence(number, &decoys).unwrap().iter().enumerate() {
                seen[place][decoys.ports().binary_search(port).unwrap()] += 1;
            }
        }
        for (place, seen) in seen.iter().enumerate() {
            let chi_square = chi_square(seen, 20_000);
            assert!(chi_square < UNFAIR_OF_100, "place {place}: {chi_square}");
        }
    }

    #[test]
    fn every_port_is_as_likely_to_be_a_decoy() {
        let shape = Shape::new(1, 3, 16, 1000..=1099).unwrap();
        let mut seen = [0u32; 100];
        for seed in 0..5_000u32 {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&seed.to_le_bytes());
            for port in Decoys::draw(&DecoySeed::from_bytes(bytes), &shape).ports() {
                seen[usize::from(port - 1000)] += 1;
            }
        }
        let chi_square = chi_square(&seen, 80_000);
        assert!(chi_square < UNFAIR_OF_100, "{chi_square}");
    }

    #[test]
    fn a_bound_that_does_not_divide_the_words_favours_nobody() {
        // Of 2^32 words modulo 3 * 2^30, the lower third would come twice as often.
        let bound = 3 << 30;
        let mut stream = Stream::new(&[1; 32], 0, b"fairness");
        let low = (0..30_000).filter(|_| stream.below(bound) < bound / 3).count();
        assert!((9_500..10_500).contains(&low), "{low} of 30000 in the lower third");
    }

    #[test]
    fn a_draw_is_below_its_bound_at_the_edges() {
        #[rustfmt::skip]
        let cases = [(1, 1), (2, 2), (3, 3), (4, 1 << 31), (5, (1 << 31) + 1), (6, u32::MAX - 1), (7, u32::MAX)];
        for (case, bound) in cases {
            let mut stream = Stream::new(&[2; 32], case, b"fairness");
            assert!((0..200).all(|_| stream.below(bound) < bound), "case {case}");
        }
    }

    fn chi_square(seen: &[u32; 100], draws: u32) -> f64 {
        let expected = f64::from(draws) / 100.0;
        seen.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }
}

mod damaged_files {
    use super::*;

    /// A book as a faulty or hostile program may write it.
    #[derive(Serialize)]
    struct ForgedBook {
        id: [u8; 8],
        shape: (u32, u8, u16, u16, u16),
        seeds: ([u8; 32], [u8; 32]),
    }

    fn forged(shape: (u32, u8, u16, u16, u16)) -> Result<Book, FileError> {
        let book = ForgedBook { id: [1; 8], shape, seeds: ([2; 32], [3; 32]) };
        let mut buffer = [0; 128];
        Book::decode(file::encode(FORMAT, &book, &mut buffer).unwrap())
    }

    #[test]
    fn a_forged_book_with_figures_beyond_the_limits_is_refused() {
        #[rustfmt::skip]
        let cases = [
            (1, (1000, 6, 100, 10_000, 32_767), None),
            (2, (0, 6, 100, 10_000, 32_767), Some(FileError::Nonsense)),
            (3, (65_537, 6, 100, 10_000, 32_767), Some(FileError::Nonsense)),
            (4, (1000, 2, 100, 10_000, 32_767), Some(FileError::Nonsense)),
            (5, (1000, 17, 100, 10_000, 32_767), Some(FileError::Nonsense)),
            (6, (1000, 6, 5, 10_000, 32_767), Some(FileError::Nonsense)),
            (7, (1000, 6, 1025, 10_000, 32_767), Some(FileError::Nonsense)),
            (8, (1000, 6, 100, 0, 32_767), Some(FileError::Nonsense)),
            (9, (1000, 6, 100, 32_767, 10_000), Some(FileError::Nonsense)),
            (10, (1000, 6, 100, 10_000, 10_098), Some(FileError::Nonsense)),
        ];
        for (case, shape, error) in cases {
            assert_eq!(forged(shape).err(), error, "case {case}");
        }
    }

    #[test]
    fn a_book_cut_off_anywhere_is_refused() {
        let mut buffer = [0; Book::MAX_FILE];
        let book = book(shape(1000, 6, 100));
        let file = book.encode(&mut buffer).unwrap();
        for len in 0..file.len() {
            let error = Book::decode(&file[..len]).err();
            assert!(
                matches!(error, Some(FileError::Truncated | FileError::Damaged)),
                "{len} bytes: {error:?}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let mut buffer = [0; Book::MAX_FILE];
        let book = book(shape(1000, 6, 100));
        let file = book.encode(&mut buffer).unwrap().to_vec();
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..4 => FileError::Foreign,
                4 => FileError::Version(damaged[4]),
                _ => FileError::Damaged,
            };
            assert_eq!(Book::decode(&damaged).err(), Some(expected), "bit {bit}");
        }
    }

    #[test]
    fn a_file_of_another_kind_and_one_with_more_behind_it_are_refused() {
        let mut buffer = [0; 128];
        let profile_mark = Format { mark: *b"KGpr", version: 1 };
        let foreign = file::encode(profile_mark, &book(shape(10, 6, 100)), &mut buffer).unwrap();
        assert_eq!(Book::decode(foreign).err(), Some(FileError::Foreign));

        let longer = file::encode(FORMAT, &(book(shape(10, 6, 100)), 0u8), &mut buffer).unwrap();
        assert_eq!(Book::decode(longer).err(), Some(FileError::Nonsense));
    }
}

fn shape(count: u32, length: u8, decoys: u16) -> Shape {
    Shape::new(count, length, decoys, 10_000..=32_767).unwrap()
}

fn book(shape: Shape) -> Book {
    Book::generate(shape, DecoySeed::from_bytes([4; 32]), &mut TestRng::new(1))
}

/// Every shape there is.
fn shapes() -> impl Strategy<Value = Shape> {
    (BOOK_COUNTS, SEQUENCE_LENGTHS, DECOY_COUNTS)
        .prop_flat_map(|(count, length, decoys)| (Just((count, length, decoys)), 1..=(u16::MAX - decoys + 1)))
        .prop_flat_map(|(figures, first)| (Just(figures), Just(first), (first + (figures.2 - 1))..=u16::MAX))
        .prop_map(|((count, length, decoys), first, last)| {
            Shape::new(count, length, decoys, first..=last).expect("drawn within the limits")
        })
}

#[test]
fn a_book_knows_the_decoys_that_it_is_drawn_from() {
    let (ours, theirs) = (DecoySeed::from_bytes([1; 32]), DecoySeed::from_bytes([2; 32]));
    let shape = Shape::new(10, 6, 100, 10_000..=32_767).unwrap();
    let book = Book::generate(shape, ours.clone(), &mut TestRng::new(1));
    assert_eq!([&ours, &theirs].map(|seed| book.is_drawn_from(seed)), [true, false]);
}
