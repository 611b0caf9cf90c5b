/**
 * The words of passphrases: 1024, so that each is worth 10 bits. Any two differ by more than one letter that is wrong,
 * missing, added or swapped with its neighbour: what is read out over a bad line is heard as one word or as none. At most
 * six letters each, so that ten of them stay below the 72 bytes that bcrypt reads.
 */
export const WORDS: readonly string[] = `
  absorb accent acid acorn across action active adapt advice affair aged agenda album alien almond alpine also
  always amber amount anchor animal annual answer antler anyone apex apollo appear apron area army aspect aspen
  atlas atom attic august aunt author auto autumn avenue awake away axis baby back bagel bake bakery bald ballet
  bamboo banana banner barley barn basil basket bath bazaar beacon beam beauty beaver become beef behind bell
  belong bend best beyond bird bite blazer blouse blue boat body bone bonsai bonus book border boss bounce bowl
  branch breeze brick bridge bright bronze broom brush bubble bucket budget bulb bumper bunk burger busy butter
  button cabin cable cactus calm camel camera campus canal candle candy cannon canoe canvas caper carbon cargo
  carpet carrot castle casual cave cedar celery cello cement center cereal chain chalk champ chance chapel charm
  cheese cherry chess chief chill choir chorus chrome cigar cinema circle circus citrus city civic claim clap
  clean clerk clever cliff climb clinic clock cloth cloud clown club coach coast cobalt cobra cobweb cocoa coffee
  coin cold collar colony column comet copper copy coral corner cosmic cotton cougar county couple cousin cover
  cowboy coyote cradle craft crane crash crater crayon cream credit creek crisp crop crowd cruise crumb crust
  cubic cuckoo cupola curb custom cute cycle cymbal dahlia daily damage dance dawn deal debate debris decade
  decent deck deep define delta denim dense depth derby desert detail detect device diary diesel diet digit dinner
  dish diver dizzy doctor dodge domain donkey donut door double dove dozen dragon drama dress drift drill drink
  drive drum duel dune during dusk duty dynamo eager eagle early earth easy echo editor effect effort either elbow
  elder elite embark empire empty enable enamel energy engine enjoy enough entry enzyme epic equal error escape
  essay estate ethics evolve exact exam exceed exit exotic expert extra fabric face factor fairy faith falcon
  false family famous fancy farm father faucet fault feast felt fence fern ferry fever fiber fiddle field fifth
  figure film filter final finch finger finish fire flag flame flash flavor fleet flight flint flood flora flour
  flow fluid flute foam focus foggy foil folder folk forest forget format fort fossil found fresh friday frog
  frost fruit fudge full funnel funny fuse future gadget galaxy gallon game garage garden garlic gauge gazebo gear
  genius genre gentle ghost giant gift girl glad glance glass globe glory golf good goose gopher gospel gossip
  govern grace grain grand graph gravel green grid grocer group grove growth guard guess guide guitar gust gypsum
  habit hair half hammer hand happy harbor harp hawk hazard hazel head heart heavy hedge height helmet help herb
  heron hidden high hike hint hippo hobby hockey hollow home honest honey hoof horse hotel hour hubcap human
  humble humor hungry hurdle husky hybrid icon idea idle igloo ignore image impact impala income index indigo
  infant inlet input insect invite iris island ivory jacket jaguar jazz jeans jelly jersey jewel jigsaw joke juice
  july jumbo jump jungle junior kayak keen kernel kettle kick kidney kilo kimono kind kiosk kitten kiwi knee knife
  knight knit koala label ladder lady lagoon lamb lane laptop large laser latch laugh launch lava leaf league left
  legacy legal legend lemon lens lesson letter level lilac lily lime limit linear linen lion liquid list lizard
  llama load local locket logic long loop lotus lounge lucky lumber lunar lynx lyric macaw magic magnet maid major
  mammal mango maple marble march margin marine market maroon mask mason matrix meadow medal media melody melon
  member memory mentor menu mercy merit mesh meter method might mild mimic minus mirror mixer mobile model modern
  moment month moon mosaic mother motion motor mouse movie muffin mule multi mural muscle museum music myth napkin
  narrow nation native nature navy nebula nectar needle nephew nerve news nice nickel noble noise noodle normal
  north notch note notice novel nurse nylon oasis object oboe ocean octave offer office olive omega onion open
  opera optic orange orbit orchid organ origin osprey otter oval owner oxygen oyster paddle page paint palace
  panda panel panic papaya parade parcel party pasta patio patrol pause peace pebble pecan pencil people pepper
  perch permit phase phone photo piano pickle picnic piece pigeon pillow pilot pirate pitch pizza plaid planet
  plate player plaza polar polish polite polka poppy potato pouch powder praise prawn prefer pretty pride prince
  prism profit proof proper proud prune public pulley pulse pupil purple puzzle quail quake quartz queen quest
  quick quiet quill quiver quota rabbit radar radio radish raisin rally random rapid raven razor ready reason
  recipe record reflex region relax remain remedy remote repair rescue resin result return reward rhyme rhythm
  ribbon rifle rigid rinse ripple robin robot rodeo rough route royal rubber rugby ruler runway safari salad
  salmon salute sample satin sauce sauna scale scarf scene school scoop scope scout screw script scuba second
  secret select senior series sesame seven shadow shaft shape shark sheep shelf sherpa shield shirt shore shovel
  shrimp sierra sigma signal silent silver siren sister sketch skill sleeve slice small smart smile smoke smooth
  snack snail snake soccer social solid sonar sonic source south space spear speed spell sphere spider spike
  spiral spirit splash sponge spoon sport spray spring spruce square squid stable staff stage stair stamp steak
  steel stereo stick stone stool storm straw stream street stripe strong studio study style subway suede sugar
  summer summit super sweet swift swing switch sword symbol syrup system tailor talent target teach teapot temple
  tempo tenant tennis thank theme theory thick thirty thorn thread thrive throne thumb ticket tidal tiger timber
  tissue title today token tomato tooth topaz total totem toucan toward towel track trade trail treat trend tribe
  trophy trout trunk tulip tundra turbo turkey turtle tutor twelve twenty unary uncle under unique united update
  upper urban urgent useful usual utopia valid valley value vapor vector velvet vendor verse vessel viable video
  villa vinyl violet violin virtue vision visit vital vivid voice volume vortex voter voyage waffle wagon waist
  walnut walrus warmth water wealth weasel weave weekly whale wheat wheel white wicker window winter wisdom woman
  wonder world yacht yellow yogurt young zebra zigzag zipper
`
  .trim()
  .split(/\s+/);
